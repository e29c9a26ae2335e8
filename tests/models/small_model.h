// A tiny classifier with random weights, and batches for it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "framework/nn/arena.h"
#include "models/classifier.h"

namespace heddle {

inline ClassifierConfig small_config(const std::string& family = "bert") {
  ClassifierConfig config;
  config.family = family;
  config.vocabulary = 50;
  config.hidden_size = 32;
  config.layers = 2;
  config.heads = 2;
  config.intermediate_size = 48;
  config.max_positions = 40;
  config.token_types = family == "distilbert" ? 0 : 2;
  config.embedding_size = family == "electra" ? 24 : 0;
  config.labels = {"a", "b", "c"};
  return config;
}

struct SmallModel {
  explicit SmallModel(const ClassifierConfig& c, uint64_t seed = 3,
                      const Device& device = Device::cpu())
      : config(c), model(c), arena(model, device) {
    initialize(arena, seed);
  }

  ClassifierConfig config;
  Classifier model;
  ParameterArena arena;
};

// Sequences of these lengths, one after another; the ids depend on `first` + the sequence alone.
inline Batch small_batch(const std::vector<int>& lengths, int first = 0,
                         const Device& device = Device::cpu()) {
  std::vector<int32_t> ids, positions, types, offsets = {0};
  std::vector<int64_t> keys, sequences;
  for (size_t s = 0; s < lengths.size(); ++s) {
    const int sample = first + static_cast<int>(s);
    for (int t = 0; t < lengths[s]; ++t) {
      ids.push_back(1 + (sample * 7 + t * 3) % 49);
      positions.push_back(t);
      types.push_back(2 * t >= lengths[s] ? 1 : 0);
      keys.push_back(int64_t{sample} << 16 | t);
    }
    offsets.push_back(static_cast<int32_t>(ids.size()));
    sequences.push_back(int64_t{sample} << 16);
  }
  const auto rows = static_cast<int64_t>(ids.size());
  Batch batch;
  batch.ids = Tensor::from<int32_t>(ids, {rows}, device);
  batch.positions = Tensor::from<int32_t>(positions, {rows}, device);
  batch.token_types = Tensor::from<int32_t>(types, {rows}, device);
  batch.segments = Segments::from(offsets, device);
  batch.token_keys = Tensor::from<int64_t>(keys, {rows}, device);
  batch.sequence_keys =
      Tensor::from<int64_t>(sequences, {static_cast<int64_t>(sequences.size())}, device);
  return batch;
}

}  // namespace heddle
