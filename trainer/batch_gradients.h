// The gradient of a batch: forward and backward over this rank's leaves, and the sum over all ranks
// that share the batch. The same bits on any mesh.
#pragma once

#include <cstdint>

#include "datasets/tokenized_dataset.h"
#include "framework/comm/communicator.h"
#include "framework/parallel/gradients.h"
#include "models/classifier.h"
#include "trainer/leaf_plan.h"
#include "trainer/tasks/sequence_classification.h"

namespace heddle {

class BatchGradients {
 public:
  struct Sums {
    double loss = 0;  // summed over the terms of the batch
    int64_t tokens = 0;
  };

  // All of it outlives this; `data_ranks` share a batch.
  BatchGradients(const Classifier& model, const SequenceClassification& task,
                 GradientArena& gradients, Communicator& data_ranks)
      : model_(model), task_(task), gradients_(gradients), ranks_(data_ranks) {}

  // Leaves the sum in the arena; what is returned is of the whole batch, on every rank. `samples`
  // is the whole job's batch, `noise` keys its dropout. Collective.
  Sums run(const TokenizedDataset& data, std::span<const int64_t> samples,
           const LeafPlanOptions& leaves, const TrainingNoise& noise);

 private:
  Sums forward_backward(const TokenizedDataset& data, const LeafPlan& plan,
                        const TrainingNoise& noise);
  double pass(const TokenizedDataset& data, const LeafPlan::Pass& pass, const TrainingNoise& noise,
              int64_t& tokens);

  const Classifier& model_;
  const SequenceClassification& task_;
  GradientArena& gradients_;
  Communicator& ranks_;
};

}  // namespace heddle
