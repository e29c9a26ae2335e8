#include "framework/nn/linear.h"

namespace heddle {

Linear::Linear(int64_t in, int64_t out, const LinearOptions& options)
    : weight({out, in}, {Initializer::Kind::kNormal, options.deviation}),
      activation(options.activation) {
  weight.multiplies = true;
  if (options.bias) bias = Parameter({out});
}

Tensor Linear::operator()(const Tensor& x) const {
  if (weight.packed.defined()) return linear(x, weight.packed, bias.value, activation);
  return linear(x, weight.value, bias.value, activation);
}

void Linear::visit(Visitor& v) {
  v("weight", weight);
  v("bias", bias);
}

}  // namespace heddle
