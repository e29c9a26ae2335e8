#include <gtest/gtest.h>

#include <map>
#include <string>

#include "framework/comm/mpi_environment.h"

namespace heddle {
namespace {

Launch launch_with(const std::map<std::string, std::string>& variables) {
  return detect_launch([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(Launch, EmptyEnvironmentIsAlone) {
  const Launch launch = launch_with({});
  EXPECT_EQ(launch.by, Launch::By::kAlone);
  EXPECT_EQ(launch.ranks, 1);
}

TEST(Launch, MpirunTellsRanksAndThoseOfTheNode) {
  const Launch launch = launch_with({{"OMPI_COMM_WORLD_SIZE", "8"},
                                     {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                                     {"OMPI_COMM_WORLD_RANK", "5"}});
  EXPECT_EQ(launch.by, Launch::By::kMpirun);
  EXPECT_EQ(launch.ranks, 8);
  EXPECT_EQ(launch.node_ranks, 4);
  EXPECT_EQ(launch.rank, 5);
  EXPECT_EQ(launch_with({{"PMI_SIZE", "3"}}).ranks, 3);
}

TEST(Launch, SrunTaskIsARankAndAnAllocationAloneIsNot) {
  const Launch launch = launch_with(
      {{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_NODES", "1"}});
  EXPECT_EQ(launch.by, Launch::By::kSrun);
  EXPECT_EQ(launch.ranks, 4);
  EXPECT_EQ(launch.node_ranks, 4);
  EXPECT_EQ(launch_with({{"SLURM_NTASKS", "4"}, {"SLURM_JOB_ID", "7"}}).by, Launch::By::kAlone);
}

}  // namespace
}  // namespace heddle
