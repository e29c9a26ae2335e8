#include "models/encoder.h"

#include "framework/ops/cast.h"

namespace heddle {

Encoder::Encoder(const ClassifierConfig& config, const Group& group)
    : embeddings(config, group), group(group), precision(config.precision) {
  for (int64_t i = 1; i <= config.layers; ++i) {
    layers.emplace_back(config, static_cast<int32_t>(i), group);
  }
}

Tensor Encoder::operator()(const Batch& batch) const {
  const ProfiledModule span(path);
  const StreamScope stream(group, batch.tokens());
  Tensor x = embeddings(batch);
  for (const EncoderLayer& layer : layers) x = layer(x, batch);
  return cast(whole_rows(x), DType::kF32);
}

std::vector<Tensor> Encoder::hidden_states(const Batch& batch) const {
  const ProfiledModule span(path);
  const StreamScope stream(group, batch.tokens());
  Tensor x = embeddings(batch);
  std::vector<Tensor> states = {cast(whole_rows(x), DType::kF32)};
  for (const EncoderLayer& layer : layers) {
    x = layer(x, batch);
    states.push_back(cast(whole_rows(x), DType::kF32));
  }
  return states;
}

void Encoder::visit(Visitor& v) {
  v("embeddings", embeddings);
  v("layers", layers);
}

}  // namespace heddle
