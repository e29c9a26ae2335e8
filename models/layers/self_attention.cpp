#include "models/layers/self_attention.h"

#include <cmath>

namespace heddle {

SelfAttention::SelfAttention(const ClassifierConfig& config, int32_t layer, const Group& group)
    : query_key_value(config.hidden_size, 3 * config.hidden_size, group,
                      {.deviation = config.deviation, .blocks = 3, .units = config.heads}),
      output(config.hidden_size, config.hidden_size, group,
             {.deviation = config.deviation, .units = config.heads}),
      group(group),
      heads(static_cast<int>(config.heads)),
      head_dim(config.hidden_size / config.heads),
      dropout(config.attention_dropout),
      layer(layer) {}

Tensor SelfAttention::operator()(const Tensor& x, const Batch& batch) const {
  const ProfiledModule span(path);
  const Parts qkv = query_key_value(x);  // [T, 3 heads head_dim] of each part's heads
  const Parts context = attention(qkv, batch.segments,
                                  {.heads = heads,
                                   .scale = 1 / std::sqrt(static_cast<float>(head_dim)),
                                   .dropout = batch.token_dropout(dropout, layer)},
                                  group);
  return output(context);
}

void SelfAttention::visit(Visitor& v) {
  v("query_key_value", query_key_value);
  v("output", output);
}

}  // namespace heddle
