// One step of AdamW or SGD over all trainable parameters, with the norm of the whole gradient and
// clipping in the same arithmetic on any mesh.
//
//   Optimizer optimizer(parameters, gradients, {.kind = OptimizerOptions::Kind::kAdamW});
//   const double norm = optimizer.gradient_norm(samples);     // after gradients.all_reduce()
//   if (std::isfinite(norm)) optimizer.step(learning_rate, norm, samples);
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "framework/nn/arena.h"
#include "framework/optim/adamw.h"
#include "framework/parallel/gradients.h"

namespace heddle {

struct OptimizerOptions {
  enum class Kind : uint8_t { kAdamW, kSgd };
  Kind kind = Kind::kAdamW;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  // AdamW
  double momentum = 0;                            // SGD
  double clip = 0;                                // largest gradient norm; 0: none

  // What one parameter gets, by its name: the rate as a multiple of the step's, and the decay.
  struct Group {
    double rate = 1;
    double weight_decay = 0;
  };
  std::function<Group(const std::string& name, const Parameter&)> group;
};

class Optimizer {
 public:
  // A flat block of state, in the layout of the trainable parameters: what a checkpoint holds.
  struct State {
    std::string name;  // "adam_m", "adam_v", "momentum"
    Tensor values;     // f32 [n]
  };
  // A trainable parameter's place in every State.
  struct Entry {
    GradientArena::Entry gradient;
    int64_t offset;
    OptimizerOptions::Group group;
  };

  Optimizer(const ParameterArena& parameters, GradientArena& gradients, Communicator& group,
            OptimizerOptions options);

  // The norm of (sum of gradients) / samples; the same bits on any mesh. Collective.
  double gradient_norm(double samples);
  // Updates the parameters with (sum of gradients) / samples, clipped to options.clip given its
  // norm.
  void step(double rate, double norm, double samples);

  const std::vector<Entry>& entries() const { return entries_; }
  const std::vector<State>& states() const { return states_; }
  // Updates so far, from 0.
  int64_t steps() const { return steps_; }
  // Goes on from states that were loaded.
  void set_steps(int64_t steps);

 private:
  void update(const Entry& entry, const AdamWStep& step);
  void update_rows(const Entry& entry, const AdamWStep& step);
  void apply_sgd_rows(const Entry& entry, const AdamWStep& step);
  void find_rows_at_rest(const Entry& entry);
  // A parameter's part of a state.
  std::span<float> state(size_t i, const Entry& entry) const;
  void apply(std::span<float> weight, std::span<const float> gradient, int64_t offset,
             const AdamWStep& step);

  const ParameterArena& parameters_;
  GradientArena& gradients_;
  Communicator& group_;
  OptimizerOptions options_;
  std::vector<Entry> entries_;
  std::vector<State> states_;
  // For AdamW and each row-sparse parameter: which rows have states of 0, as most rows of a
  // vocabulary do. They need not be read.
  std::vector<std::vector<uint8_t>> at_rest_;
  int64_t steps_ = 0;
};

}  // namespace heddle
