// What enters the first layer: word, position and (where the family has them) type vectors, summed,
// normalised, dropped out, and (ELECTRA) projected to the hidden size.
#pragma once

#include <optional>

#include "framework/nn/layer_norm.h"
#include "framework/nn/linear.h"
#include "framework/parallel/vocab_embedding.h"
#include "models/batch.h"
#include "models/config.h"

namespace heddle {

struct Embeddings : Module {
  Embeddings(const ClassifierConfig& config, const Group& group);

  // [T, H].
  Tensor operator()(const Batch& batch) const;
  void visit(Visitor& v) override;

  VocabEmbedding word;
  Parameter position;    // [max_positions, E]
  Parameter token_type;  // [types, E]
  LayerNorm norm;
  std::optional<Linear> projection;
  float dropout;
};

}  // namespace heddle
