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
  return run_command(fmt::format("{} -n {} --timeout 60 {} '{}'", HEDDLE_MPIEXEC, ranks,
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

testing::AssertionResult says(const Outcome& outcome, const std::string& text) {
  if (outcome.output.find(text) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "'" << text << "' is not in:\n" << outcome.output;
}

TEST(MpiFaults, WatchdogNamesTheRankThatHangsAndAllReport) {
  const Outcome outcome = run_ranks(3, "hang");
  EXPECT_EQ(outcome.code, 124) << outcome.output;
  EXPECT_TRUE(says(outcome, "[rank 1/3] no progress for "));
  EXPECT_TRUE(says(outcome, " s in 'reading data'; last entered #1 allocate_shared"));
  EXPECT_TRUE(says(outcome,
                   "[rank 1/3]   rank 1 never entered #2 barrier 'end of step'; it is in: reading "
                   "data; last entered #1 allocate_shared of ranks 0, 1, 2"));
  EXPECT_TRUE(says(outcome, "nanosleep"));
  EXPECT_TRUE(says(outcome, "[rank 2/3] another rank makes no progress; this one has been in"));
  EXPECT_TRUE(says(outcome, "[rank 0/3] another rank makes no progress; this one has been in"));
  EXPECT_LT(outcome.seconds, kSoon);
}

TEST(MpiFaults, StoppedRankIsNamedByTheOthers) {
  const Outcome outcome = run_ranks(3, "stop");
  EXPECT_EQ(outcome.code, 124) << outcome.output;
  EXPECT_TRUE(says(outcome, " s in 'step'; last entered"));
  EXPECT_TRUE(says(outcome,
                   "  rank 1 never entered #2 barrier 'end of step'; last entered #1 "
                   "allocate_shared of ranks 0, 1, 2; its process "));
  EXPECT_TRUE(says(outcome, " is stopped\n"));
  EXPECT_TRUE(says(outcome, "MPI_Barrier (libmpi.so"));
  EXPECT_LT(outcome.seconds, kSoon);
}

TEST(MpiFaults, RanksInDifferentCollectivesAreReportedAtOnce) {
  const Outcome outcome = run_ranks(3, "mix up");
  EXPECT_EQ(outcome.code, 70) << outcome.output;
  EXPECT_TRUE(says(outcome, "ranks entered different collectives: "));
  EXPECT_TRUE(says(outcome, "rank 1 is at #2 all_reduce sum i64 x 1 'rows'"));
  EXPECT_TRUE(says(outcome, " is at #2 barrier 'end of step'"));
  EXPECT_LT(outcome.seconds, kSoon);
}

TEST(MpiFaults, RanksThatWaitInSeveralGroupsNameThoseBehind) {
  const Outcome outcome = run_ranks(4, "split");
  EXPECT_EQ(outcome.code, 124) << outcome.output;
  EXPECT_TRUE(says(outcome,
                   "  rank 1 never entered #1 barrier 'first' of ranks 0, 1; it is in: "
                   "step; last entered #1 barrier 'first' of ranks 1, 3"));
  EXPECT_TRUE(says(outcome, "  rank 3 never entered #1 barrier 'first' of ranks "));
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
