// One step of training: the gradient of a batch, clipping and the update. The same bits on any
// mesh.
#pragma once

#include <cstdint>

#include "framework/optim/optimizer.h"
#include "trainer/batch_gradients.h"
#include "trainer/step_verifier.h"

namespace heddle {

struct StepResult {
  double loss = 0;           // mean over the batch
  double gradient_norm = 0;  // before clipping
  int64_t tokens = 0;        // of the whole job
  bool skipped = false;      // loss or norm is not finite: nothing was updated
};

class TrainStep {
 public:
  // `data_ranks` share a batch.
  TrainStep(const Classifier& model, const SequenceClassification& task, GradientArena& gradients,
            Optimizer& optimizer, Communicator& data_ranks)
      : task_(task), gradients_(model, task, gradients, data_ranks), optimizer_(optimizer) {}

  // Collective. `samples` is the whole job's batch; `noise` keys its dropout.
  StepResult run(const TokenizedDataset& data, std::span<const int64_t> samples,
                 const LeafPlanOptions& leaves, const TrainingNoise& noise, double rate);

  // From now on each gradient is checked before it is used; null: no longer.
  void verify_with(StepVerifier* verifier) { verifier_ = verifier; }

 private:
  const SequenceClassification& task_;
  BatchGradients gradients_;
  Optimizer& optimizer_;
  StepVerifier* verifier_ = nullptr;
};

}  // namespace heddle
