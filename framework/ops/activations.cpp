#include "framework/ops/activations.h"

#include <cmath>

#include "framework/device/profile.h"
#include "framework/ops/detail/bytes_of.h"

namespace heddle {
namespace {

using kernels::Elementwise;

Tensor activate(Elementwise kind, const Tensor& x) {
  const ProfiledSpan span("activation", name_of(x.dtype()));
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  on_device(x.device(), [&](auto on) { kernels::activation(on, kind, x, y); });
  count_work({.moved_bytes = bytes_of(x, y)});
  const Tensor saved = kind == Elementwise::kGelu ? x.detach() : y;
  return record(y, {x}, [kind, saved](const Tensor& dy) {
    const ProfiledSpan span("activation", name_of(dy.dtype()));
    Tensor dx = Tensor::empty_like(dy);
    on_device(dy.device(), [&](auto on) { kernels::activation_backward(on, kind, saved, dy, dx); });
    count_work({.moved_bytes = bytes_of(saved, dy, dx)});
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
  const ProfiledSpan span("softmax", name_of(x.dtype()));
  on_device(x.device(), [&](auto on) { kernels::softmax(on, x, y); });
  count_work({.moved_bytes = bytes_of(x, y)});
  return record(y, {x}, [saved = y](const Tensor& dy) {
    const ProfiledSpan span("softmax", name_of(dy.dtype()));
    Tensor dx = Tensor::empty_like(dy);
    on_device(dy.device(), [&](auto on) { kernels::softmax_backward(on, saved, dy, dx); });
    count_work({.moved_bytes = bytes_of(saved, dy, dx)});
    return Gradients{dx};
  });
}

float sigmoid(float x) {
  const float small = std::exp(-std::abs(x));
  return (x >= 0 ? 1.0f : small) / (1.0f + small);
}

}  // namespace heddle
