// Checks a step of a sharded model against the same step on one rank: every rank runs the whole
// batch through a whole model and compares. Costs a copy of the model and the work of all ranks.
//
//   StepVerifier verifier(model, gradients, mesh, {.exact = true});
//   step.verify_with(&verifier);
#pragma once

#include <memory>
#include <span>

#include "framework/parallel/gradients.h"
#include "framework/parallel/mesh.h"
#include "trainer/batch_gradients.h"
#include "trainer/training_setup.h"

namespace heddle {

struct VerifierOptions {
  int parts = 1;      // into which the model's arithmetic is cut
  bool exact = true;  // bit for bit; else within the rounding of another order of sums
};

class StepVerifier {
 public:
  // A gradient that has been summed over ranks.
  struct Step {
    const TokenizedDataset& data;
    std::span<const int64_t> samples;
    const LeafPlanOptions& leaves;
    const TrainingNoise& noise;
    double loss;  // the batch's sum
  };

  // `model`, `gradients` and `mesh` outlive it.
  StepVerifier(const TrainingModel& model, const GradientArena& gradients, const Mesh& mesh,
               const VerifierOptions& options);

  // Throws Error(kInternal), alike on all ranks, that names the first module whose activation or
  // gradient differs, in the order in which they are computed. Collective.
  void check(const Step& step);

 private:
  void copy_weights();
  void check_activations(const Step& step) const;
  bool same_gradient(const GradientArena::Entry& entry) const;
  bool differ(std::span<const float> sharded, std::span<const float> whole) const;

  const TrainingModel& model_;
  const GradientArena& gradients_;
  const Mesh& mesh_;
  VerifierOptions options_;
  std::unique_ptr<Communicator> alone_;
  Classifier whole_;
  ParameterArena arena_;
  GradientArena whole_gradients_;
};

// Throws Error(kInternal), alike on all ranks, if ranks that should hold the same parameters do
// not: memory or a processor is faulty. Names the rank that differs from rank 0 of its group, and
// the first such parameter. Collective.
void check_replicas(const ParameterArena& arena, const Mesh& mesh);

}  // namespace heddle
