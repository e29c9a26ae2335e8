#include "models/encoder.h"

namespace heddle {

Encoder::Encoder(const ClassifierConfig& config, const Group& group) : embeddings(config, group) {
  for (int64_t i = 1; i <= config.layers; ++i) {
    layers.emplace_back(config, static_cast<int32_t>(i), group);
  }
}

Tensor Encoder::operator()(const Batch& batch) const {
  Tensor x = embeddings(batch);
  for (const EncoderLayer& layer : layers) x = layer(x, batch);
  return x;
}

std::vector<Tensor> Encoder::hidden_states(const Batch& batch) const {
  std::vector<Tensor> states = {embeddings(batch)};
  for (const EncoderLayer& layer : layers) states.push_back(layer(states.back(), batch));
  return states;
}

void Encoder::visit(Visitor& v) {
  v("embeddings", embeddings);
  v("layers", layers);
}

}  // namespace heddle
