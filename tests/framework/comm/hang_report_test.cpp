#include "framework/comm/hang_report.h"

#include <gtest/gtest.h>

#include <future>
#include <regex>
#include <thread>

#include "framework/comm/rank_board.h"
#include "framework/comm/single.h"
#include "framework/comm/threads.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

// On a busy machine every second counts.
std::string without_seconds(const std::string& report) {
  return std::regex_replace(report, std::regex("for [0-9]+ s"), "for N s");
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(HangReport, SaysWhereThisRankIsAndWhoIsWaitedFor) {
  std::promise<std::string> report;
  std::promise<void> done;
  const std::shared_future<void> reported = done.get_future().share();
  run_threads(2, [&](Communicator& world) {
    world.barrier("start");
    if (world.rank() == 1) {
      world.doing("reading data");
      reported.wait();
    } else {
      Watchdog dog(
          [&](const Watchdog::Silence& silence) {
            report.set_value(hang_report(world, silence, nullptr));
            done.set_value();
          },
          world.board());
      dog.beat("step", std::chrono::milliseconds(50));
      world.barrier("end of step");
    }
    if (world.rank() == 1) world.barrier("end of step");
  });
  EXPECT_EQ(without_seconds(report.get_future().get()),
            "[rank 0/2] no progress for N s in 'step'; last entered #2 barrier 'end of step'\n"
            "[rank 0/2]   rank 1 never entered #2 barrier 'end of step'; it is in: reading data; "
            "last entered #1 barrier 'start'\n");
}

TEST(HangReport, RankThatIsCalledSaysSoAndTheCallerWaitsForIt) {
  std::array<std::promise<std::string>, 2> reports;
  run_threads(2, [&](Communicator& world) {
    std::promise<void> done;
    Watchdog dog(
        [&](const Watchdog::Silence& silence) {
          reports[size_t(world.rank())].set_value(
              without_seconds(hang_report(world, silence, nullptr)));
          await_other_reports(world);
          EXPECT_TRUE(world.board()->all_reported());
          done.set_value();
        },
        world.board());
    dog.beat("checkpoint", std::chrono::milliseconds(world.rank() == 0 ? 20 : 1000000));
    done.get_future().wait();
  });
  EXPECT_TRUE(has(reports[0].get_future().get(), "[rank 0/2] no progress for N s in 'checkpoint'"));
  EXPECT_TRUE(has(reports[1].get_future().get(),
                  "[rank 1/2] another rank makes no progress; this one has been in 'checkpoint' "
                  "for N s"));
}

TEST(HangReport, RankAloneHasNoNumber) {
  const auto alone = make_single();
  EXPECT_EQ(hang_report(*alone, {.seconds = 5, .what = "step"}, nullptr),
            "heddle: no progress for 5 s in 'step'\n");
  await_other_reports(*alone);
}

TEST(HangReport, StackIsThatOfTheThreadThatMadeIt) {
  const MainStack stack;
  EXPECT_INVALID(MainStack(), "[stack] MainStack is already in use in this process.");
  std::string report;
  std::atomic<bool> done{false};
  std::thread watcher([&] {
    report = hang_report(*make_single(), {.seconds = 5, .what = "step"}, &stack);
    done = true;
  });
  while (!done) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  watcher.join();
  EXPECT_TRUE(has(report, "heddle:     in ")) << report;
  EXPECT_TRUE(has(report, "nanosleep") || has(report, "comm_test")) << report;
}

TEST(MainStack, ThreadThatDoesNotAnswerHasNone) {
  const MainStack stack;
  sigset_t urgent, before;
  sigemptyset(&urgent);
  sigaddset(&urgent, SIGURG);
  pthread_sigmask(SIG_BLOCK, &urgent, &before);
  std::string report;
  std::thread([&] {
    EXPECT_TRUE(stack.look(std::chrono::milliseconds(20)).empty());
    report = hang_report(*make_single(), {.seconds = 5, .what = "step"}, &stack);
  }).join();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_TRUE(has(report, "its main thread does not answer")) << report;
}

}  // namespace
}  // namespace heddle
