#include "framework/nn/linear.h"

namespace heddle {

Linear::Linear(int64_t in, int64_t out, const LinearOptions& options)
    : Linear(in, out, options, {.dim = 0, .begin = 0, .extent = out}) {}

Linear::Linear(int64_t in, int64_t out, const LinearOptions& options, const Shard& shard)
    : weight({out, in}, {Initializer::Kind::kNormal, options.deviation}, shard),
      activation(options.activation) {
  weight.multiplies = true;
  if (!options.bias) return;
  bias = shard.dim == 0 ? Parameter({out}, {}, shard) : Parameter({out});
}

Tensor Linear::operator()(const Tensor& x) const {
  const ProfiledModule span(path);
  if (weight.packed.defined()) return linear(x, weight.packed, bias.value, activation);
  return linear(x, weight.value, bias.value, activation);
}

void Linear::visit(Visitor& v) {
  v("weight", weight);
  v("bias", bias);
}

}  // namespace heddle
