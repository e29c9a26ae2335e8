// One step of AdamW or SGD over all trainable parameters, with the norm of the whole gradient and
// clipping in the same arithmetic on any mesh.
//
//   Optimizer optimizer(parameters, gradients, {.kind = OptimizerOptions::Kind::kAdamW});
//   const double norm = optimizer.gradient_norm(samples);     // after gradients.all_reduce()
//   if (std::isfinite(norm)) optimizer.step(learning_rate, norm, samples);
//
// AdamW of a row-sparse table is put off (lazy_adamw.h): the parameter says so to who reads it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "framework/nn/arena.h"
#include "framework/optim/adamw.h"
#include "framework/optim/lazy_adamw.h"
#include "framework/parallel/gradients.h"
#include "framework/parallel/zero.h"

namespace heddle {

struct OptimizerOptions {
  enum class Kind : uint8_t { kAdamW, kSgd };
  Kind kind = Kind::kAdamW;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  // AdamW
  double momentum = 0;                            // SGD
  double clip = 0;                                // largest gradient norm; 0: none
  bool shard_state = false;                       // ZeRO-1: data-parallel ranks share the state

  // What one parameter gets, by its name: the rate as a multiple of the step's, and the decay.
  struct Group {
    double rate = 1;
    double weight_decay = 0;
  };
  std::function<Group(const std::string& name, const Parameter&)> group{};
};

// Who takes part in a step.
struct OptimizerRanks {
  OptimizerRanks(Communicator& data) : data(data) {}  // NOLINT: data parallelism alone
  OptimizerRanks(Communicator& data, Communicator& tensor) : data(data), tensor(&tensor) {}

  Communicator& data;              // ranks with the same parameters
  Communicator* tensor = nullptr;  // ranks with the other parts of the same tensors, if any
};

class Optimizer {
 public:
  // A flat block of state, in the layout of the trainable parameters, or this rank's range of it:
  // what a checkpoint holds.
  struct State {
    std::string name;  // "adam_m", "adam_v", "momentum"
    Tensor values;     // f32 [n]
  };
  // A trainable parameter's place: the state of its elements [first, last) lies from `offset` of
  // every State on; that of the others is on other ranks.
  struct Entry {
    GradientArena::Entry gradient;
    int64_t first, last;
    int64_t offset;
    OptimizerOptions::Group group;
  };

  Optimizer(const ParameterArena& parameters, GradientArena& gradients, const OptimizerRanks& ranks,
            OptimizerOptions options);
  // Nothing is pending afterwards.
  ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // The norm of (sum of gradients) / samples; the same bits on any mesh. Collective.
  double gradient_norm(double samples);
  // Updates the parameters with (sum of gradients) / samples, clipped to options.clip given its
  // norm. Collective if the state is sharded.
  void step(double rate, double norm, double samples);

  const std::vector<Entry>& entries() const { return entries_; }
  // Up to date, like the weights, until the next step.
  const std::vector<State>& states() const;
  // Updates so far, from 0.
  int64_t steps() const { return steps_; }
  // Goes on from weights and states that were loaded.
  void set_steps(int64_t steps);

 private:
  std::vector<double> square_sums(std::vector<int64_t>& counts);
  std::vector<double> with_other_parts(std::span<const double> sums,
                                       std::span<const int64_t> counts);
  void update(const Entry& entry, const AdamWStep& step);
  // What this rank owns of a row-sparse gradient.
  void update_rows(const Entry& entry, const AdamWStep& step);
  // Of what is owned of the entry, the elements from `begin` on.
  void update_span(const Entry& entry, int64_t begin, std::span<const float> gradient,
                   const AdamWStep& step);
  // `ids` are of owned rows, counted from the first of them.
  void sgd_rows(const Entry& entry, std::span<const int64_t> ids, std::span<const float> values,
                const AdamWStep& step);
  void make_tables();
  void keep_rows_together(int64_t& bound) const;
  // What this rank owns of a parameter, and the state of that.
  std::span<float> owned_weights(const Entry& entry) const;
  std::span<float> state(size_t i, const Entry& entry) const;

  const ParameterArena& parameters_;
  GradientArena& gradients_;
  OptimizerRanks ranks_;
  OptimizerOptions options_;
  std::vector<Entry> entries_;
  std::vector<FlatPiece> weights_;  // of all entries, in the layout of the whole state
  int64_t size_ = 0;                // of that
  std::vector<int64_t> bounds_;     // of the ranks' ranges of it, [ranks + 1]
  std::vector<size_t> in_norm_;     // entries in the order of the norm: a tensor's parts ascend
  std::vector<State> states_;
  std::vector<std::unique_ptr<LazyAdamW>> tables_;  // of row-sparse parameters, in their order
  int64_t steps_ = 0;
};

}  // namespace heddle
