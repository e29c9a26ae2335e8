// What a job does when a rank goes wrong, seen from outside.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <string>

namespace heddle {
namespace {

struct Outcome {
  int code = -1;
  double seconds = 0;
  std::string output;
};

Outcome run_command(const std::string& command) {
  const auto begin = std::chrono::steady_clock::now();
  Outcome outcome;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  std::array<char, 4096> part;
  while (fgets(part.data(), part.size(), pipe)) outcome.output += part.data();
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return outcome;
}

Outcome run_ranks(int ranks, const std::string& fault) {
  return run_command(fmt::format("{} -n {} --timeout 60 {} {}", HEDDLE_MPIEXEC, ranks,
                                 HEDDLE_FAULTY_RANKS, fault));
}

// Seconds in which a job must be down; they pass for start-up on a busy machine, mostly.
constexpr double kSoon = 20;

TEST(MpiFaults, NoFaultEndsWell) {
  const Outcome outcome = run_ranks(4, "none");
  EXPECT_EQ(outcome.code, 0) << outcome.output;
}

TEST(MpiFaults, RankThatThrowsTakesTheJobDownWithItsCode) {
  const Outcome outcome = run_ranks(4, "throw");
  EXPECT_EQ(outcome.code, 74) << outcome.output;
  EXPECT_NE(outcome.output.find("[rank 1/4] rank 1 lost its disk"), std::string::npos)
      << outcome.output;
  EXPECT_LT(outcome.seconds, kSoon);
}

TEST(MpiFaults, RankThatIsKilledTakesTheJobDown) {
  const Outcome outcome = run_ranks(4, "kill");
  EXPECT_EQ(outcome.code, 137) << outcome.output;
  EXPECT_LT(outcome.seconds, kSoon);
}

TEST(MpiFaults, RankThatLeavesTakesTheJobDown) {
  const Outcome outcome = run_ranks(3, "leave");
  EXPECT_EQ(outcome.code, 3) << outcome.output;
  EXPECT_LT(outcome.seconds, kSoon);
}

TEST(MpiFaults, WatchdogNamesTheRankThatHangs) {
  const Outcome outcome = run_ranks(2, "hang");
  EXPECT_EQ(outcome.code, 124) << outcome.output;
  EXPECT_NE(outcome.output.find("rank 1: no progress for 0."), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("in 'reading data'"), std::string::npos) << outcome.output;
  EXPECT_LT(outcome.seconds, kSoon);
}

TEST(MpiEnvironment, StartedAloneNeedsNoMpi) {
  const Outcome outcome = run_command(std::string(HEDDLE_FAULTY_RANKS) + " none");
  EXPECT_EQ(outcome.code, 0) << outcome.output;
  EXPECT_EQ(outcome.output, "");
}

TEST(MpiEnvironment, ProcessesThatMpiDoesNotSeeAreReported) {
  const Outcome outcome = run_command(std::string("PMI_SIZE=3 ") + HEDDLE_FAULTY_RANKS + " none");
  EXPECT_EQ(outcome.code, 64) << outcome.output;
  EXPECT_NE(outcome.output.find("started 3 processes, but MPI sees a job of 1"), std::string::npos)
      << outcome.output;
  EXPECT_NE(outcome.output.find("srun --mpi=pmix"), std::string::npos) << outcome.output;
}

}  // namespace
}  // namespace heddle
