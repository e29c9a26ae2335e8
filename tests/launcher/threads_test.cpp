#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "launcher/threads.h"
#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace heddle {
namespace {

// What `train` says of the threads of a run whose file asks for three.
std::string told(const std::string& name, const std::string& options) {
  const TinyModel& tiny = tiny_model();
  const Outcome outcome = run_heddle(
      "train " + tiny.config + " --set threads=3 --set output=" + (tiny / name) + " " + options);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return outcome.err;
}

TEST(Threads, AreAsManyAsTheFileSays) {
  EXPECT_NE(told("three", "").find("3 threads each"), std::string::npos);
}

TEST(Threads, OfTheCommandLineWinOverTheFile) {
  EXPECT_NE(told("two", "--threads 2").find("2 threads each"), std::string::npos);
}

cpu_set_t cores(int begin, int end) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int core = begin; core < end; ++core) CPU_SET(core, &set);
  return set;
}

TEST(ThreadsOfRank, RanksThatAreBoundNowhereShareTheNode) {
  const std::vector<cpu_set_t> node(3, cores(0, 12));
  EXPECT_EQ(threads_of_rank(node[0], node), 4);
  const std::vector<cpu_set_t> crowd(8, cores(0, 2));
  EXPECT_EQ(threads_of_rank(crowd[0], crowd), 1);
  const std::vector<cpu_set_t> uneven(3, cores(0, 8));
  EXPECT_EQ(threads_of_rank(uneven[0], uneven), 2);
}

TEST(ThreadsOfRank, RanksThatAreBoundToTheirOwnCoresHaveAllOfThem) {
  const std::vector<cpu_set_t> node = {cores(0, 4), cores(4, 12), cores(12, 13)};
  EXPECT_EQ(threads_of_rank(node[0], node), 4);
  EXPECT_EQ(threads_of_rank(node[1], node), 8);
  EXPECT_EQ(threads_of_rank(node[2], node), 1);
}

TEST(ThreadsOfRank, RanksBoundInPairsShareTheCoresOfTheirPair) {
  const std::vector<cpu_set_t> node = {cores(0, 6), cores(0, 6), cores(6, 12), cores(6, 12)};
  EXPECT_EQ(threads_of_rank(node[3], node), 3);
}

}  // namespace
}  // namespace heddle
