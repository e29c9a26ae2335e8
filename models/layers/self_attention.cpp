#include "models/layers/self_attention.h"

#include <cmath>

#include "framework/ops/attention.h"

namespace heddle {

SelfAttention::SelfAttention(const ClassifierConfig& config, int32_t layer, const Group& group)
    : query_key_value(config.hidden_size, 3 * config.hidden_size, group,
                      {.deviation = config.deviation}),
      output(config.hidden_size, config.hidden_size, group, {.deviation = config.deviation}),
      head_dim(config.hidden_size / config.heads),
      dropout(config.attention_dropout),
      layer(layer) {}

Tensor SelfAttention::operator()(const Tensor& x, const Batch& batch) const {
  const Tensor qkv = query_key_value(x);  // [T, 3 heads head_dim], this group's heads
  const Tensor context = attention(qkv, batch.segments,
                                   {.heads = static_cast<int>(qkv.dim(1) / (3 * head_dim)),
                                    .scale = 1 / std::sqrt(static_cast<float>(head_dim)),
                                    .dropout = batch.token_dropout(dropout, layer)});
  return output(context);
}

void SelfAttention::visit(Visitor& v) {
  v("query_key_value", query_key_value);
  v("output", output);
}

}  // namespace heddle
