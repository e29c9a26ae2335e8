// What becomes of a training job that is told to stop, and of one that is killed.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace heddle {
namespace {

constexpr double kPatience = 60;  // seconds that a busy machine may take to get going

std::string path_of(const std::string& name) {
  return tiny_model() / name;
}

// The run of `name`: some seconds long, each step logged, every 100th saved.
std::string long_run(const std::string& name) {
  return fmt::format(
      "train {} --threads 1 --set output={} --set training.steps=1500 --set checkpoint.every=100 "
      "--set training.evaluate_every=never --set log.hash_every=0",
      tiny_model().config, path_of(name));
}

bool is_training(const std::string& name, int step) {
  return appears(path_of(name) + "/log.jsonl", fmt::format("{{\"step\":{},", step), kPatience);
}

// Starts the run again and lets it go to its end.
void expect_goes_on(const std::string& name, const Under& under) {
  const Outcome on = run_heddle(long_run(name), under);
  EXPECT_EQ(on.code, 0) << on.err;
  EXPECT_NE(read_text(path_of(name) + "/log.jsonl").find("\"event\":\"resume\""),
            std::string::npos);
  EXPECT_NE(on.err.find("step 1500/1500"), std::string::npos) << on.err;
}

void stop_and_go_on(const std::string& name, int signal, const Under& under) {
  const std::string log = path_of(name) + ".log";
  {
    Background job(long_run(name), log, under);
    ASSERT_TRUE(is_training(name, 25)) << read_text(log);
    job.send(signal);
    EXPECT_EQ(job.wait(), 75) << read_text(log);
  }
  EXPECT_NE(read_text(log).find("stopped on a signal after step"), std::string::npos)
      << read_text(log);
  EXPECT_EQ(run_heddle("verify " + path_of(name)).code, 0);
  expect_goes_on(name, under);
}

// The files in /dev/shm that these processes map, whatever they are called: the shared memory of
// gradients and MPI's own. A name that is gone already is not among them.
std::set<std::string> shared_memory(const std::vector<pid_t>& processes) {
  std::set<std::string> paths;
  for (const pid_t process : processes) {
    std::istringstream maps(read_text(fmt::format("/proc/{}/maps", process)));
    for (std::string line; std::getline(maps, line);) {
      const size_t at = line.find("/dev/shm/");
      if (at == std::string::npos || line.ends_with(" (deleted)")) continue;
      paths.insert(line.substr(at));
    }
  }
  return paths;
}

TEST(Signals, Sigusr1SavesExits75AndTheNextStartGoesOn) {
  stop_and_go_on("stopped1", SIGUSR1, {});
}

TEST(Signals, Sigusr1ToTwoRanksSavesExits75AndTheNextStartGoesOn) {
  stop_and_go_on("stopped2", SIGUSR1, {.ranks = 2});
}

TEST(Signals, SigtermToOneRankAloneSavesExits75AndTheNextStartGoesOn) {
  stop_and_go_on("terminated", SIGTERM, {});
}

TEST(Signals, SigintSavesExits75EvenQuietlyAndASecondJobWaitsAndIsRefused) {
  const std::string name = "interrupted";
  const std::string log = path_of(name) + ".log";
  const std::string endless = long_run(name) + " --set training.steps=10000000";
  Background job(endless + " --set log.console=none", log);
  ASSERT_TRUE(is_training(name, 25)) << read_text(log);
  for (const int ranks : {0, 2}) {
    const Outcome second = run_heddle(endless, {.ranks = ranks});
    EXPECT_EQ(second.code, 64) << second.err;
    EXPECT_NE(second.err.find(path_of(name) + ": another training job is writing there: process "),
              std::string::npos)
        << second.err;
    EXPECT_GT(second.seconds, 9);
  }
  job.send(SIGINT);
  EXPECT_EQ(job.wait(), 75) << read_text(log);
  EXPECT_EQ(read_text(log).find("stopped on a signal after step"), 0u) << read_text(log);
  EXPECT_EQ(run_heddle("verify " + path_of(name)).code, 0);
}

TEST(Signals, KilledRankEndsTheJobLeavesNoSharedMemoryAndTheNextStartGoesOn) {
  const std::string name = "killed";
  const std::string log = path_of(name) + ".log";
  std::set<std::string> shared;
  {
    Background job(long_run(name), log, {.ranks = 2});
    ASSERT_TRUE(is_training(name, 150)) << read_text(log);
    const std::vector<pid_t> ranks = job.ranks();
    ASSERT_EQ(ranks.size(), 2);
    shared = shared_memory(ranks);
    const auto start = std::chrono::steady_clock::now();
    kill(ranks[1], SIGKILL);
    EXPECT_NE(job.wait(), 0);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  }
  std::string left;
  for (const std::string& file : shared) {
    if (std::filesystem::exists(file)) left += file + " ";
  }
  EXPECT_EQ(left, "");
  expect_goes_on(name, {.ranks = 2});
}

}  // namespace
}  // namespace heddle
