#include "framework/device/profile.h"

#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <thread>

#include "framework/device/thread_pool.h"

namespace heddle {
namespace {

void pass_time() {
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

SpanTotal total(const Profile::Thread& thread, std::string_view name) {
  for (const SpanTotal& total : thread.totals) {
    if (total.key.name == name) return total;
  }
  return {};
}

TEST(Profile, WithoutOneNothingIsRecorded) {
  {
    const ProfiledSpan span("before");
    count_work({.product_flops = 1});
  }
  EXPECT_FALSE(Profile::on());
  EXPECT_FALSE(counts_work());
  Profile profile(10);
  EXPECT_TRUE(Profile::on());
  EXPECT_TRUE(counts_work());
  profile.stop();
  EXPECT_FALSE(Profile::on());
  const int64_t life = profile.nanoseconds();
  { const ProfiledSpan span("after"); }
  EXPECT_EQ(profile.nanoseconds(), life);
  ASSERT_EQ(profile.threads().size(), 1u);
  EXPECT_TRUE(profile.threads()[0].totals.empty());
  EXPECT_TRUE(profile.threads()[0].events.empty());
}

TEST(Profile, ATotalIsWithoutTheSpansInside) {
  const Profile profile(10);
  {
    const ProfiledSpan outer("outer", "f32");
    for (int i = 0; i < 2; ++i) {
      const ProfiledSpan inner("inner");
      count_work({.product_flops = 3, .moved_bytes = 5});
      pass_time();
    }
    count_work({.attention_flops = 7});
  }
  const Profile::Thread thread = profile.threads()[0];
  ASSERT_EQ(thread.totals.size(), 2u);
  const SpanTotal outer = total(thread, "outer"), inner = total(thread, "inner");
  EXPECT_EQ(outer.calls, 1);
  EXPECT_EQ(inner.calls, 2);
  EXPECT_GE(inner.nanoseconds, 4'000'000);
  EXPECT_EQ(outer.work.attention_flops, 7);
  EXPECT_EQ(outer.work.product_flops, 0);
  EXPECT_EQ(inner.work.product_flops, 6);
  EXPECT_EQ(inner.work.moved_bytes, 10);
  // By their ends, each with all that is inside.
  ASSERT_EQ(thread.events.size(), 3u);
  const SpanEvent& whole = thread.events[2];
  EXPECT_EQ(whole.key.name, "outer");
  EXPECT_EQ(whole.key.type, "f32");
  // Each of the four is rounded to nanoseconds.
  EXPECT_NEAR(static_cast<double>(whole.end - whole.begin),
              static_cast<double>(outer.nanoseconds + inner.nanoseconds), 2);
  EXPECT_LE(whole.end, profile.nanoseconds());
  EXPECT_GE(thread.events[0].begin, whole.begin);
  EXPECT_EQ(thread.events[0].flops, 3);
}

TEST(Profile, ModulesNameWhatIsInThem) {
  const Profile profile(100);
  int32_t inner = 0;
  EXPECT_EQ(profiled_module(), 0);
  {
    const ProfiledModule module("layers.0");
    {
      const ProfiledModule part("layers.0.attention");
      inner = profiled_module();
      const ProfiledSpan span("forward");
    }
    const ProfiledModule nameless("");  // changes nothing
    const ProfiledSpan span("between");
  }
  {
    const ProfiledBackward back(inner);
    const ProfiledSpan span("forward");
  }
  {
    const RecomputedSpans again;
    const ProfiledSpan span("forward");
  }
  EXPECT_EQ(profiled_module(), 0);
  const Profile::Thread thread = profile.threads()[0];
  const auto calls = [&](std::string_view name, std::string_view module, TapePass pass) {
    int64_t calls = 0;
    for (const SpanTotal& total : thread.totals) {
      const SpanKey& key = total.key;
      if (key.name == name && profile.module(key.module) == module && key.pass == pass) {
        calls += total.calls;
      }
    }
    return calls;
  };
  EXPECT_EQ(calls("forward", "layers.0.attention", TapePass::kForward), 1);
  EXPECT_EQ(calls("between", "layers.0", TapePass::kForward), 1);
  EXPECT_EQ(calls("forward", "layers.0.attention", TapePass::kBackward), 1);
  EXPECT_EQ(calls("forward", "", TapePass::kRecomputed), 1);
  EXPECT_EQ(calls("", "layers.0", TapePass::kForward), 1);  // the module itself
  EXPECT_EQ(calls("", "layers.0.attention", TapePass::kBackward), 1);
}

TEST(Profile, ThreadsHaveTheirOwnSpans) {
  const Profile profile(1000);
  ThreadPool pool(3);
  {
    const ProfiledSpan span("shared work");
    pool.parallel_for(12, [](int64_t) { pass_time(); });
  }
  std::thread other([] {
    const ProfiledStage stage("beside");
    pass_time();
  });
  other.join();
  const std::vector<Profile::Thread> threads = profile.threads();
  ASSERT_EQ(threads.size(), 4u);
  EXPECT_EQ(total(threads[0], "shared work").calls, 1);
  int64_t shares = 0, stages = 0;
  for (const Profile::Thread& thread : threads) {
    for (const SpanTotal& total : thread.totals) {
      if (total.key.kind == SpanKind::kShare) shares += total.calls;
      if (total.key.kind == SpanKind::kStage) stages += total.calls;
    }
  }
  EXPECT_EQ(shares, 2);  // of the two threads that help
  EXPECT_EQ(stages, 1);
}

TEST(Profile, KeepsTheFirstEventsAndAllTotals) {
  const Profile profile(5000);
  for (int i = 0; i < 7000; ++i) {
    const ProfiledSpan span("short");
  }
  EXPECT_EQ(profile.left_out(), 2000);
  EXPECT_EQ(profile.threads()[0].events.size(), 5000u);
  EXPECT_EQ(total(profile.threads()[0], "short").calls, 7000);
}

TEST(Profile, ThreadsThatGoOnAreInEachProfile) {
  ThreadPool pool(3);
  for (int i = 0; i < 3; ++i) {
    const Profile profile(100);
    pool.parallel_for(12, [](int64_t) {
      const ProfiledSpan span("part");
      pass_time();
    });
    int64_t parts = 0, kept = 0;
    for (const Profile::Thread& thread : profile.threads()) {
      for (const SpanTotal& total : thread.totals) {
        if (total.key.name == "part") parts += total.calls;
      }
      for (const SpanEvent& event : thread.events) {
        EXPECT_GE(event.begin, 0);
        EXPECT_GE(event.end, event.begin);
        EXPECT_LE(event.end, profile.nanoseconds());
        kept += event.key.name == "part" ? 1 : 0;
      }
    }
    EXPECT_EQ(parts, 12);
    EXPECT_EQ(kept, 12);
  }
}

TEST(Profile, WhatIsOnlyCountedIsNotRecorded) {
  const Profile profile(10);
  const WorkCount count;
  {
    const ProfiledSpan span("on paper");
    count_work({.product_flops = 4});
  }
  EXPECT_EQ(count.work().product_flops, 4);
  EXPECT_TRUE(profile.threads()[0].totals.empty());
}

TEST(Profile, OneAtATime) {
  { const Profile profile(1); }
  const Profile profile(1);
  try {
    const Profile second(1);
    ADD_FAILURE() << "did not throw";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "[profile] another one is alive.");
  }
  EXPECT_TRUE(Profile::on());
}

}  // namespace
}  // namespace heddle
