#include "trainer/planner/run_memory.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <span>
#include <string>

#include "framework/device/allocator.h"
#include "framework/device/profile.h"
#include "trainer/planner/plan.h"

namespace heddle {
namespace {

constexpr int64_t kMostBatches = 4000;

int64_t most_resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  }
  return 0;
}

}  // namespace

MemoryTerms plan_run_memory(const Config& config, const ClassifierConfig& model,
                            const TokenizedDataset& data, int64_t steps, const MeshPlan& mesh) {
  const ProfiledStage span("plan memory");
  const std::vector<int64_t> lengths =
      heaviest_batch(config, data, mesh.data, std::min(steps, kMostBatches));
  return plan_rank(config, model, mesh, plan_step(config, mesh.data, lengths), mesh.ranks()).bytes;
}

MeasuredMemory measured_memory(Communicator& group) {
  const MemoryStatistics statistics = memory_statistics();
  std::array<int64_t, 3> most = {statistics.high_water, statistics.held_high_water,
                                 most_resident_bytes()};
  group.all_reduce(std::span<int64_t>(most), Reduction::kMax, "memory");
  return {most[0], most[1], most[2]};
}

Json memory_record(const MemoryTerms& planned, const MeasuredMemory& measured) {
  return {{"planned",
           {{"parameters", planned.parameters},
            {"gradients", planned.gradients},
            {"optimizer", planned.optimizer},
            {"activations", planned.activations},
            {"workspace", planned.workspace},
            {"communication", planned.communication},
            {"allocator", planned.allocated()}}},
          {"high_water", measured.high_water},
          {"held", measured.held},
          {"process", measured.process}};
}

}  // namespace heddle
