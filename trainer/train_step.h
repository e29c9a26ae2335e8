// One step of training: forward and backward over this rank's leaves, the sum over all ranks,
// clipping and the update. The same bits on any mesh.
#pragma once

#include <cstdint>

#include "datasets/tokenized_dataset.h"
#include "framework/comm/communicator.h"
#include "framework/optim/optimizer.h"
#include "models/classifier.h"
#include "trainer/leaf_plan.h"
#include "trainer/tasks/sequence_classification.h"

namespace heddle {

struct StepResult {
  double loss = 0;           // mean over the batch
  double gradient_norm = 0;  // before clipping
  int64_t tokens = 0;        // of the whole job
  bool skipped = false;      // loss or norm is not finite: nothing was updated
};

class TrainStep {
 public:
  TrainStep(const Classifier& model, const SequenceClassification& task, GradientArena& gradients,
            Optimizer& optimizer, Communicator& world)
      : model_(model), task_(task), gradients_(gradients), optimizer_(optimizer), world_(world) {}

  // Collective. `samples` is the whole job's batch; `noise` keys its dropout.
  StepResult run(const TokenizedDataset& data, std::span<const int64_t> samples,
                 const LeafPlanOptions& leaves, const TrainingNoise& noise, double rate);

 private:
  // Sums of the passes of this rank.
  struct Sums {
    double loss = 0;
    int64_t tokens = 0;
  };
  Sums forward_backward(const TokenizedDataset& data, const LeafPlan& plan,
                        const TrainingNoise& noise);
  double pass(const TokenizedDataset& data, const LeafPlan::Pass& pass, const TrainingNoise& noise,
              int64_t& tokens);

  const Classifier& model_;
  const SequenceClassification& task_;
  GradientArena& gradients_;
  Optimizer& optimizer_;
  Communicator& world_;
};

}  // namespace heddle
