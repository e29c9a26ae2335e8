#include "framework/ops/losses.h"

#include <utility>

#include "framework/device/profile.h"

namespace heddle {
namespace {

// `evaluate(on, gradient)` returns the value and fills `gradient` where it is defined.
template <typename Evaluate>
Loss make_loss(const Tensor& logits, Evaluate&& evaluate) {
  const ProfiledSpan span("loss", name_of(logits.dtype()));
  Tensor gradient;
  if (needs_gradient({logits})) gradient = Tensor::empty_like(logits);
  Loss loss;
  loss.sum = Tensor::zeros({1}, DType::kF32, logits.device());
  on_device(logits.device(), [&](auto on) {
    loss.value = evaluate(on, gradient);
    kernels::set_scalar(on, loss.sum, loss.value);
  });
  loss.sum = record(loss.sum, {logits}, [gradient](const Tensor& dy) {
    const ProfiledSpan span("loss", name_of(gradient.dtype()));
    Tensor dlogits = Tensor::empty_like(gradient);
    on_device(dy.device(), [&](auto on) { kernels::scale(on, gradient, dy, dlogits); });
    return Gradients{dlogits};
  });
  return loss;
}

void check_targets(const Tensor& x, const Tensor& targets, const char* op) {
  check(x.ndim() == 2, "[{}] predictions have shape {}. Expected [S, L].", op, x.shape());
  check(targets.defined() && targets.shape() == x.shape() && targets.dtype() == DType::kF32,
        "[{}] targets are {} {}. Expected f32 {}.", op, name_of(targets.dtype()), targets.shape(),
        x.shape());
}

}  // namespace

Loss cross_entropy_sum(const Tensor& logits, const Tensor& labels, float label_smoothing) {
  check(logits.ndim() == 2 && logits.dim(1) > 0,
        "[cross_entropy] logits have shape {}. Expected [S, L].", logits.shape());
  check(labels.defined() && labels.dtype() == DType::kI32 && labels.shape() == Shape{logits.dim(0)},
        "[cross_entropy] labels are {} {}. Expected i32 [{}].", name_of(labels.dtype()),
        labels.shape(), logits.dim(0));
  check(label_smoothing >= 0 && label_smoothing < 1,
        "[cross_entropy] label smoothing {}. Expected 0 <= e < 1.", label_smoothing);
  return make_loss(logits, [&](auto on, const Tensor& gradient) {
    return kernels::cross_entropy(on, logits, labels, label_smoothing, gradient);
  });
}

Loss binary_cross_entropy_with_logits_sum(const Tensor& logits, const Tensor& targets) {
  check_targets(logits, targets, "binary_cross_entropy");
  return make_loss(logits, [&](auto on, const Tensor& gradient) {
    return kernels::binary_cross_entropy(on, logits, targets, gradient);
  });
}

Loss squared_error_sum(const Tensor& predictions, const Tensor& targets) {
  check_targets(predictions, targets, "squared_error");
  return make_loss(predictions, [&](auto on, const Tensor& gradient) {
    return kernels::squared_error(on, predictions, targets, gradient);
  });
}

}  // namespace heddle
