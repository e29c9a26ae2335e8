#include "models/layers/encoder_layer.h"

#include "framework/autograd/recompute.h"

namespace heddle {
namespace {

// Each place of a layer that drops has a number of its own.
constexpr int32_t kAttentionResidual = 1 << 16;
constexpr int32_t kFeedForwardResidual = 2 << 16;

}  // namespace

EncoderLayer::EncoderLayer(const ClassifierConfig& config, int32_t layer, const Group& group)
    : attention(config, layer, group),
      attention_norm(config.hidden_size, config.layer_norm_eps),
      feed_forward(config, group),
      feed_forward_norm(config.hidden_size, config.layer_norm_eps),
      dropout(config.hidden_dropout),
      layer(layer),
      recomputed(config.recompute) {}

Tensor EncoderLayer::operator()(const Tensor& x, const Batch& batch) const {
  const ProfiledModule span(path);
  if (recomputed != Recompute::kLayer) return run(x, batch);
  return recompute([this, batch](const Tensor& input) { return run(input, batch); }, x);
}

Tensor EncoderLayer::run(const Tensor& x, const Batch& batch) const {
  const auto attend = [this, batch](const Tensor& input) { return attention(input, batch); };
  const Tensor context = recomputed == Recompute::kAttention ? recompute(attend, x) : attend(x);
  const Tensor attended =
      attention_norm(context, x, batch.stream_dropout(dropout, layer + kAttentionResidual));
  return feed_forward_norm(feed_forward(attended), attended,
                           batch.stream_dropout(dropout, layer + kFeedForwardResidual));
}

void EncoderLayer::visit(Visitor& v) {
  v("attention", attention);
  v("attention_norm", attention_norm);
  v("feed_forward", feed_forward);
  v("feed_forward_norm", feed_forward_norm);
}

}  // namespace heddle
