// What becomes of a job in which a rank stops, or was told something else than the others.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace heddle {
namespace {

constexpr double kPatience = 60;  // seconds that a busy machine may take to get going

testing::AssertionResult says(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "'" << part << "' is not in:\n" << text;
}

TEST(Hangs, StoppedRankIsNamedByTheOthersWhichLeave) {
  const std::string run = tiny_model() / "hung";
  const std::string log = run + ".log";
  Background job(
      fmt::format("train {} --threads 1 --set output={} --set training.steps=100000 "
                  "--set 'watchdog={{start: 60 s, step: 2 s}}' --set checkpoint.every=never "
                  "--set training.evaluate_every=never --set log.hash_every=0",
                  tiny_model().config, run),
      log, {.ranks = 4});
  ASSERT_TRUE(appears(run + "/log.jsonl", "{\"step\":25,", kPatience)) << read_text(log);
  const std::vector<pid_t> ranks = job.ranks();
  ASSERT_EQ(ranks.size(), 4);
  const auto start = std::chrono::steady_clock::now();
  kill(ranks[1], SIGSTOP);
  EXPECT_EQ(job.wait(), 124);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(15));
  const std::string text = read_text(log);
  EXPECT_TRUE(says(text, "/4] no progress for "));
  EXPECT_TRUE(says(text, " s in 'step'; last entered #"));
  EXPECT_TRUE(says(text, "/4]   rank 1 "));
  EXPECT_TRUE(says(text, fmt::format("; its process {} is stopped", ranks[1])));
  EXPECT_TRUE(says(text, "/4] another rank makes no progress; this one has been in 'step' for"));
  EXPECT_TRUE(says(text, "/4]     in "));
  EXPECT_TRUE(says(text, "watchdog.start and watchdog.step in the config"));
}

TEST(Hangs, RanksWithOtherConfigsAreRefused) {
  const std::string same =
      "train " + tiny_model().config + " --set output=" + (tiny_model() / "unequal");
  const Outcome outcome =
      run_shell(heddle_command(fmt::format("{} : -n 1 {}/bin/heddle {} --set optimizer.lr=0.125",
                                           same, HEDDLE_BINARY_DIR, same),
                               {.ranks = 2}));
  EXPECT_EQ(outcome.code, 64) << outcome.err;
  EXPECT_TRUE(says(outcome.err,
                   "[rank 0/3] heddle: rank 2 was started with something else than rank 0:\n"
                   "  optimizer.lr: "));
  EXPECT_TRUE(says(outcome.err, "-> 0.125"));
  EXPECT_TRUE(says(outcome.err, "start all ranks with the same program, file and options"));
}

TEST(Hangs, FileThatMayNotGrowIsAnErrorWithAMessage) {
  const Outcome outcome = run_shell(
      "ulimit -f 8; " + heddle_command("train " + tiny_model().config +
                                       " --quiet --set output=" + (tiny_model() / "limited")));
  EXPECT_EQ(outcome.code, 74) << outcome.err;
  EXPECT_TRUE(says(outcome.err, "File too large"));
}

}  // namespace
}  // namespace heddle
