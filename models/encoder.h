// The encoder of BERT (Devlin et al. 2018), DistilBERT (Sanh et al. 2019) and ELECTRA (Clark et al.
// 2020): embeddings and a stack of layers.
#pragma once

#include <vector>

#include "models/layers/embeddings.h"
#include "models/layers/encoder_layer.h"

namespace heddle {

struct Encoder : Module {
  explicit Encoder(const ClassifierConfig& config, const Group& group = {});

  // The last hidden state [T, H], f32 in any precision.
  Tensor operator()(const Batch& batch) const;
  // What enters the first layer, then the output of each layer: layers + 1 of [T, H].
  std::vector<Tensor> hidden_states(const Batch& batch) const;
  void visit(Visitor& v) override;

  Embeddings embeddings;
  std::vector<EncoderLayer> layers;
  Group group;
  Precision precision;
};

}  // namespace heddle
