// What a model is made of, in the terms of the papers; family files of models/hf map config.json
// to it and back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/core/precision.h"
#include "framework/ops/linear.h"
#include "models/problem.h"

namespace heddle {

// What of a layer the backward pass computes again instead of keeping.
enum class Recompute : uint8_t { kNone, kAttention, kLayer };

struct ClassifierConfig {
  std::string family = "bert";  // `model_type`: bert, distilbert, electra

  int64_t vocabulary = 0;
  int64_t hidden_size = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t intermediate_size = 0;
  int64_t max_positions = 512;
  int64_t token_types = 2;     // 0: the family has none
  int64_t embedding_size = 0;  // 0: as hidden_size; otherwise projected to it
  float layer_norm_eps = 1e-12f;
  Activation activation = Activation::kGelu;  // of the feed-forward layers
  int padding_id = 0;
  float deviation = 0.02f;  // of the initial weights

  float hidden_dropout = 0.1f;
  float attention_dropout = 0.1f;
  float head_dropout = 0.1f;

  // How the model computes, not what it is: no part of config.json.
  Recompute recompute = Recompute::kNone;
  Precision precision = Precision::kF32;  // of the layers; embeddings and head are f32

  std::vector<std::string> labels;  // the outputs' names
  Problem problem = Problem::kSingleLabel;

  int64_t outputs() const { return static_cast<int64_t>(labels.size()); }
};

}  // namespace heddle
