#include "framework/ops/linear.h"

#include <memory>
#include <utility>

#include "framework/autograd/leaves.h"
#include "framework/device/allocator.h"
#include "framework/device/profile.h"
#include "framework/ops/detail/weight_gradient.h"

namespace heddle {
namespace {

void check_operands(const Tensor& x, int64_t in, int64_t out, const Tensor& bias) {
  check(x.ndim() == 2 && (x.dtype() == DType::kF32 || x.dtype() == DType::kBF16) && x.dim(1) == in,
        "[linear] x of shape {} and type {} for {} inputs. Expected f32 or bf16 [T, {}].",
        x.shape(), name_of(x.dtype()), in, in);
  check(!bias.defined() || (bias.shape() == Shape{out} && bias.dtype() == DType::kF32),
        "[linear] a bias of shape {} for {} outputs.", bias.shape(), out);
}

// A product of x [T, depth] by a weight [depth, columns], whose numbers take
// `weight_bytes`; or the gradient of that weight.
void count_product(const Tensor& x, int64_t depth, int64_t columns, int64_t weight_bytes) {
  const auto r = static_cast<double>(x.dim(0));
  const auto d = static_cast<double>(depth);
  const auto c = static_cast<double>(columns);
  count_work({.product_flops = 2 * r * d * c,
              .weights = d * c,
              .moved_bytes = r * (d + c) * static_cast<double>(size_of(x.dtype())) +
                             d * c * static_cast<double>(weight_bytes)});
}

// On the meta device: the gradient of a weight. Returns the memory that it takes meanwhile.
std::shared_ptr<std::byte> count_weight_gradient(const Tensor& dy, const Tensor& x,
                                                 const LeafOffsets& leaves) {
  count_product(dy, dy.dim(1), x.dim(1), size_of(DType::kF32));
  if (!dy.device().is_meta()) return nullptr;
  return allocate_planned(kernels::weight_gradient_scratch(
      {.type = dy.dtype(), .outputs = dy.dim(1), .inputs = x.dim(1), .leaves = leaves}));
}

Precision precision_of(const Tensor& x) {
  return x.dtype() == DType::kBF16 ? Precision::kBF16 : Precision::kF32;
}

// What backward needs besides x and the weight: the activation's derivatives, where they are not
// seen from the result. They cost least where the activation is computed.
struct Forward {
  Tensor y, derivatives;
};

Forward run(const Tensor& x, const PackedWeight& weight, const Tensor& bias, Activation activation,
            bool keep_derivatives) {
  Forward f{Tensor::empty({x.dim(0), weight.columns()}, x.dtype(), x.device()), {}};
  if (keep_derivatives) f.derivatives = Tensor::empty_like(f.y);
  const ProfiledSpan span("linear", name_of(weight.precision()));
  count_product(x, weight.depth(), weight.columns(), operand_bytes(weight.precision()));
  on_device(x.device(),
            [&](auto on) { kernels::linear(on, x, weight, bias, activation, f.y, f.derivatives); });
  return f;
}

}  // namespace

Tensor linear(const Tensor& x, const PackedWeight& weight, const Tensor& bias,
              Activation activation) {
  check(weight.defined(), "[linear] a packed weight that was never packed.");
  check_operands(x, weight.depth(), weight.columns(), bias);
  check(x.dtype() == activation_type(weight.precision()),
        "[linear] x of type {} and a weight packed as {}. Expected {}.", name_of(x.dtype()),
        name_of(weight.precision()), name_of(activation_type(weight.precision())));
  check(!needs_gradient({x, bias}), "[linear] no gradient flows through a packed weight.");
  return run(x, weight, bias, activation, false).y;
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation) {
  check(weight.ndim() == 2 && weight.dtype() == DType::kF32,
        "[linear] a weight of shape {} and type {}. Expected f32 [out, in].", weight.shape(),
        name_of(weight.dtype()));
  check_operands(x, weight.dim(1), weight.dim(0), bias);
  const bool tracked = needs_gradient({x, weight, bias});
  const bool keep_derivatives = tracked && activation == Activation::kGelu;
  const auto [y, derivatives] = run(x, PackedWeight::forward(weight, x.dim(0), precision_of(x)),
                                    bias, activation, keep_derivatives);
  if (!tracked) return y;
  const bool plain = activation == Activation::kNone;
  return record(y, {x, weight, bias},
                [x_needs = x.node() != nullptr, weight_needs = weight.node() != nullptr,
                 bias_needs = bias.node() != nullptr, x = Saved(x), weight, bias, activation, plain,
                 saved = plain              ? Tensor()
                         : keep_derivatives ? derivatives
                                            : y.detach(),
                 leaves = leaves_of(x.dim(0))](const Tensor& dy) {
                  Tensor dz = dy;
                  if (!plain) {
                    const ProfiledSpan span("linear activation", name_of(dy.dtype()));
                    // Derivatives that are kept have had their use: a tape runs once.
                    dz = activation == Activation::kGelu ? saved : Tensor::empty_like(dy);
                    on_device(dy.device(), [&](auto on) {
                      kernels::linear_activation_backward(on, activation, dy, saved, dz);
                    });
                    count_work({.moved_bytes = 3 * static_cast<double>(dy.bytes())});
                  }
                  Gradients gradients(3);
                  if (x_needs) {
                    Tensor dx = Tensor::empty({dy.dim(0), weight.dim(1)}, dy.dtype(), dy.device());
                    const PackedWeight packed =
                        PackedWeight::backward(weight, dy.dim(0), precision_of(dy));
                    const ProfiledSpan span("linear input", name_of(dy.dtype()));
                    on_device(dy.device(),
                              [&](auto on) { kernels::linear_input_gradient(on, dz, packed, dx); });
                    count_product(dy, dy.dim(1), weight.dim(1), operand_bytes(packed.precision()));
                    gradients[0] = std::move(dx);
                  }
                  if (weight_needs) gradients[1] = gradient_like(weight);
                  if (bias_needs) gradients[2] = gradient_like(bias);
                  if (weight_needs || bias_needs) {
                    const Tensor input = x.get();
                    const ProfiledSpan span("linear weight", name_of(dy.dtype()));
                    const std::shared_ptr<std::byte> scratch =
                        weight_needs ? count_weight_gradient(dy, input, *leaves) : nullptr;
                    on_device(dy.device(), [&](auto on) {
                      kernels::linear_weight_gradient(on, dz, input, *leaves, gradients[1].values,
                                                      gradients[2].values);
                    });
                  }
                  return gradients;
                });
}

}  // namespace heddle
