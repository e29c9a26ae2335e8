// What one rank of a mesh holds and does in a step of training: found by running the model itself,
// forward and backward, on the meta device, where shapes are real and memory and time are not.
//
//   RankPlan plan = plan_rank(model, {.data = 4, .zero = 1}, step);
//   plan.bytes.activations;     // kept from the forward pass for the backward pass
//   plan.work.product_flops;    // of all passes of the step
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "framework/device/work.h"
#include "models/config.h"
#include "trainer/config/schema.h"

namespace heddle {

struct MeshPlan {
  int64_t data = 1;
  int64_t tensor = 1;
  int64_t parts = 1;  // slices of each matrix: a multiple of tensor
  int64_t zero = 0;

  int64_t ranks() const { return data * tensor; }
  bool operator==(const MeshPlan&) const = default;
};

// What the rank with the most to do has to do in a step.
struct StepPlan {
  struct Pass {
    std::vector<int64_t> lengths;  // of its sequences, in tokens
    std::vector<int64_t> leaves;   // offsets of its leaves among the sequences, [leaves + 1]
    int64_t tokens() const;
    bool operator==(const Pass&) const = default;
  };
  std::vector<Pass> passes;
  int64_t batch_tokens = 0;  // of the whole job

  int64_t tokens() const;        // of this rank
  int64_t largest_pass() const;  // in tokens
};

// The step on `data` ranks for a batch of sequences of these lengths; canonical arithmetic cuts it
// into config.numerics.data leaves, or into as many as there are ranks.
StepPlan plan_step(const Config& config, int64_t data, std::span<const int64_t> lengths);

// Bytes. A sum of what is there at one moment: the one at which a rank holds most.
struct MemoryTerms {
  int64_t parameters = 0;
  int64_t gradients = 0;      // their sum, and what passes of a step are added in
  int64_t optimizer = 0;      // its state
  int64_t activations = 0;    // kept for the backward pass, and the batch
  int64_t workspace = 0;      // of the backward pass at its widest place, and of tensor groups
  int64_t communication = 0;  // messages; they come when activations are gone

  int64_t lasting() const { return parameters + gradients + optimizer; }
  // What the allocator will count: its high-water mark.
  int64_t allocated() const { return lasting() + activations + workspace; }
  int64_t total() const;
  // The name of the largest.
  std::string largest() const;
  // "612 MiB: activations 300 MiB, optimizer 120 MiB, …", the largest first.
  std::string text() const;
};

struct RankPlan {
  MemoryTerms bytes;
  Work work;                 // of a step
  int64_t parameters = 0;    // elements on this rank
  int64_t trained = 0;       // of these, with a dense gradient that the ranks add
  int64_t sparse = 0;        // of the vocabulary, whose rows' gradients are added apart
  int64_t sparse_width = 0;  // of these rows
  int64_t updated = 0;       // elements whose state this rank's optimizer has
  int64_t stepped = 0;       // elements that it goes through in a step
  int64_t passes = 0;
  int64_t tokens = 0;
};

// Plans of many meshes for one config; the model is run once for those whose ranks do the same.
class RankPlanner {
 public:
  // Both outlive it.
  RankPlanner(const Config& config, const ClassifierConfig& model)
      : config_(config), model_(model) {}

  // As plan_rank().
  RankPlan plan(const MeshPlan& mesh, const StepPlan& step, int64_t ranks_per_node);

 private:
  struct Run {
    int64_t tensor;
    int64_t parts;
    std::vector<StepPlan::Pass> passes;
    RankPlan plan;
  };
  const Config& config_;
  const ClassifierConfig& model_;
  std::vector<Run> runs_;
};

// `ranks_per_node` says how far gradients are added in shared memory. Throws Error(kInput) for a
// mesh that the model cannot be cut into.
RankPlan plan_rank(const Config& config, const ClassifierConfig& model, const MeshPlan& mesh,
                   const StepPlan& step, int64_t ranks_per_node);

}  // namespace heddle
