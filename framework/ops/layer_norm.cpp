#include "framework/ops/layer_norm.h"

#include <utility>

#include "framework/device/work.h"

namespace heddle {
namespace {

using kernels::LayerNormGradients;
using kernels::LayerNormSaved;

// On the meta device: what is written for so many tensors like x.
void count_elements(const Tensor& x, int tensors) {
  if (!x.device().is_meta()) return;
  count_work({.element_bytes = static_cast<double>(x.bytes()) * tensors});
}

// `residual` may be undefined.
Tensor normalise(const Tensor& x, const Tensor& residual, const LayerNormParameters& norm,
                 const Dropout& dropout, const char* op) {
  check(x.ndim() == 2, "[{}] x has shape {}. Expected [rows, H].", op, x.shape());
  const Shape width{x.dim(1)};
  check(norm.gamma.defined() && norm.gamma.shape() == width && norm.beta.defined() &&
            norm.beta.shape() == width,
        "[{}] gamma and beta for x of shape {}. Expected {} each.", op, x.shape(), width);
  check(!residual.defined() || residual.shape() == x.shape(),
        "[{}] residual has shape {}, x {}. Expected the same.", op, residual.shape(), x.shape());
  check_dropout(dropout, x.dim(0), op);

  const bool plain = !residual.defined() && !dropout.active();
  const bool saves = needs_gradient({x, residual, norm.gamma, norm.beta});
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  LayerNormSaved saved;
  if (saves) {
    saved.z = plain ? x.detach() : Tensor::empty_like(x);
    saved.statistics = Tensor::empty({x.dim(0), 2}, DType::kF32, x.device());
  }
  on_device(x.device(),
            [&](auto on) { kernels::layer_norm(on, x, residual, norm, dropout, saved, y); });

  count_elements(x, saves && !plain ? 2 : 1);

  const bool wants_x = x.node() != nullptr;
  const bool wants_residual = residual.node() != nullptr;
  const bool wants_parameters = norm.gamma.node() || norm.beta.node();
  return record(
      y, {x, residual, norm.gamma, norm.beta},
      [saved, norm, dropout, wants_x, wants_residual, wants_parameters](const Tensor& dy) {
        LayerNormGradients g;
        if (wants_x) g.dx = Tensor::empty_like(dy);
        // Without dropout both are the same tensor.
        if (wants_residual)
          g.dresidual = wants_x && !dropout.active() ? g.dx : Tensor::empty_like(dy);
        if (wants_parameters) {
          g.dgamma = gradient_like(norm.gamma);
          g.dbeta = gradient_like(norm.beta);
        }
        on_device(dy.device(),
                  [&](auto on) { kernels::layer_norm_backward(on, dy, saved, norm, dropout, g); });
        count_elements(dy, dropout.active() ? 2 : 1);
        return Gradients{g.dx, g.dresidual, g.dgamma, g.dbeta};
      });
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps) {
  return normalise(x, {}, {gamma, beta, eps}, {}, "layer_norm");
}

Tensor dropout_add_layer_norm(const Tensor& x, const Tensor& residual,
                              const LayerNormParameters& norm, const Dropout& dropout) {
  check(residual.defined(), "[dropout_add_layer_norm] there is no residual.");
  return normalise(x, residual, norm, dropout, "dropout_add_layer_norm");
}

}  // namespace heddle
