// The memory of a run's ranks: as planned before the first step, and as it turned out.
#pragma once

#include <cstdint>

#include "datasets/tokenized_dataset.h"
#include "framework/comm/communicator.h"
#include "framework/io/json.h"
#include "trainer/planner/rank_plan.h"

namespace heddle {

// For the largest pass of the first `steps` batches, or of as many as are looked through in some
// milliseconds.
MemoryTerms plan_run_memory(const Config& config, const ClassifierConfig& model,
                            const TokenizedDataset& data, int64_t steps, const MeshPlan& mesh);

// Bytes, the most of any rank.
struct MeasuredMemory {
  int64_t high_water = 0;  // of the allocator: what was in use
  int64_t held = 0;        // of the allocator: what it held, with blocks kept for the next step
  int64_t process = 0;     // resident, as the system says; 0 where it does not
};

// Collective.
MeasuredMemory measured_memory(Communicator& group);

// An event's details.
Json memory_record(const MemoryTerms& planned, const MeasuredMemory& measured);

}  // namespace heddle
