// What enters the first layer: word, position and (where the family has them) type vectors, summed,
// normalised, dropped out, and (ELECTRA) projected to the hidden size.
#pragma once

#include <optional>

#include "framework/nn/linear.h"
#include "framework/parallel/stream.h"
#include "framework/parallel/vocab_embedding.h"
#include "models/batch.h"
#include "models/config.h"

namespace heddle {

struct Embeddings : Module {
  Embeddings(const ClassifierConfig& config, const Group& group);

  // [T, H]: the stream of the layers.
  Tensor operator()(const Batch& batch) const;
  void visit(Visitor& v) override;

  VocabEmbedding word;
  Parameter position;    // [max_positions, E]
  Parameter token_type;  // [types, E]
  StreamNorm norm;
  std::optional<Linear> projection;
  float dropout;
  DType type;  // of the stream
};

}  // namespace heddle
