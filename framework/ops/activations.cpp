#include "framework/ops/activations.h"

#include <cmath>

namespace heddle {
namespace {

using kernels::Elementwise;

Tensor activate(Elementwise kind, const Tensor& x) {
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  on_device(x.device(), [&](auto on) { kernels::activation(on, kind, x, y); });
  const Tensor saved = kind == Elementwise::kGelu ? x.detach() : y;
  return record(y, {x}, [kind, saved](const Tensor& dy) {
    Tensor dx = Tensor::empty_like(dy);
    on_device(dy.device(), [&](auto on) { kernels::activation_backward(on, kind, saved, dy, dx); });
    return Gradients{dx};
  });
}

}  // namespace

Tensor gelu(const Tensor& x) {
  return activate(Elementwise::kGelu, x);
}

Tensor tanh(const Tensor& x) {
  return activate(Elementwise::kTanh, x);
}

Tensor relu(const Tensor& x) {
  return activate(Elementwise::kRelu, x);
}

Tensor softmax(const Tensor& x) {
  check(x.ndim() > 0 && x.dim(-1) > 0, "[softmax] x has shape {}. Expected a last axis.",
        x.shape());
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  on_device(x.device(), [&](auto on) { kernels::softmax(on, x, y); });
  return record(y, {x}, [saved = y](const Tensor& dy) {
    Tensor dx = Tensor::empty_like(dy);
    on_device(dy.device(), [&](auto on) { kernels::softmax_backward(on, saved, dy, dx); });
    return Gradients{dx};
  });
}

float sigmoid(float x) {
  const float small = std::exp(-std::abs(x));
  return (x >= 0 ? 1.0f : small) / (1.0f + small);
}

}  // namespace heddle
