#include "trainer/equal_start.h"

#include <gtest/gtest.h>

#include "framework/comm/threads.h"
#include "tests/support/expect_throw.h"
#include "tests/trainer/tiny_run.h"

namespace heddle {
namespace {

// The message on every rank, where rank 2 is given other values.
void expect_refused(const std::string& assignment, const std::string& resume,
                    const std::string& part) {
  const Scratch scratch;
  const Config same = tiny_config(scratch, "run", {});
  const Config other = assignment.empty() ? same : tiny_config(scratch, "run", {assignment});
  std::atomic<int> told{0};
  run_threads(4, [&](Communicator& world) {
    const bool odd = world.rank() == 2;
    const Caught c =
        caught([&] { require_equal_start(world, odd ? other : same, odd ? resume : "auto"); });
    EXPECT_EQ(c.code, ExitCode::kInput);
    EXPECT_TRUE(has(c.what, "rank 2 was started with something else than rank 0:")) << c.what;
    EXPECT_TRUE(has(c.what, part));
    ++told;
  });
  EXPECT_EQ(told, 4);
}

TEST(EqualStart, OtherValueIsNamed) {
  expect_refused("optimizer.lr=2e-3", "auto", "\n  optimizer.lr: 0.001 -> 0.002");
}

TEST(EqualStart, ValueThatDoesNotChangeTheNumbersIsNamedToo) {
  expect_refused("checkpoint.every=5", "auto", "\n  checkpoint.every: 4 -> 5");
}

TEST(EqualStart, OtherResumeIsNamed) {
  expect_refused("", "never", "--resume: never");
}

TEST(EqualStart, EqualOnesPass) {
  const Scratch scratch;
  const Config config = tiny_config(scratch, "run", {});
  run_threads(3, [&](Communicator& world) { require_equal_start(world, config, "auto"); });
}

}  // namespace
}  // namespace heddle
