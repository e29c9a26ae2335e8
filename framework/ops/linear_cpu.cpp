#include <algorithm>

#include "framework/ops/detail/activation.h"
#include "framework/ops/detail/element_type.h"
#include "framework/ops/detail/weight_gradient.h"
#include "framework/ops/linear.h"

namespace heddle::kernels {
namespace {

// Elements of a task that is element by element.
constexpr int64_t kElements = 16384;

void linear_f32(Cpu on, const Tensor& x, const PackedWeight& weight, const float* bias,
                Activation activation, Tensor& y, float* derivatives) {
  PackedWeight::Epilogue finish;
  if (bias || derivatives || activation != Activation::kNone) {
    finish = [=, stride = y.dim(1)](const RowBlock& block, int64_t row, int64_t column) {
      bias_activation(block, bias ? bias + column : nullptr, activation,
                      derivatives ? derivatives + row * stride + column : nullptr);
    };
  }
  weight.multiply(on, x.data<float>(), x.dim(0), y.data<float>(), finish);
}

void linear_bf16(Cpu on, const Tensor& x, const PackedWeight& weight, const float* bias,
                 Activation activation, Tensor& y, BFloat16* derivatives) {
  weight.multiply(on, x.data<BFloat16>(), x.dim(0), bias, activation,
                  {y.data<BFloat16>(), derivatives, y.dim(1)});
}

}  // namespace

void linear(Cpu on, const Tensor& x, const PackedWeight& weight, const Tensor& bias,
            Activation activation, Tensor& y, Tensor& derivatives) {
  const float* b = data_or_null<float>(bias);
  if (x.dtype() == DType::kF32) {
    linear_f32(on, x, weight, b, activation, y, data_or_null<float>(derivatives));
  } else {
    linear_bf16(on, x, weight, b, activation, y, data_or_null<BFloat16>(derivatives));
  }
}

void linear_activation_backward(Cpu on, Activation activation, const Tensor& dy,
                                const Tensor& saved, Tensor& dx) {
  const int64_t n = dy.numel();
  on.parallel_for((n + kElements - 1) / kElements, [&](int64_t task) {
    const int64_t first = task * kElements;
    with_type(dy.dtype(), [&]<typename T>(T) {
      activation_backward(activation, dy.data<T>() + first, saved.data<T>() + first,
                          dx.data<T>() + first, std::min(kElements, n - first));
    });
  });
}

void linear_input_gradient(Cpu on, const Tensor& dy, const PackedWeight& weight, Tensor& dx) {
  if (dy.dtype() == DType::kF32) {
    weight.multiply(on, dy.data<float>(), dy.dim(0), dx.data<float>());
  } else {
    linear_bf16(on, dy, weight, nullptr, Activation::kNone, dx, nullptr);
  }
}

void linear_weight_gradient(Cpu on, const Tensor& dy, const Tensor& x,
                            std::span<const int64_t> leaves, const Tensor& dw, const Tensor& db) {
  weight_gradient(on, {.type = dy.dtype(),
                       .dy = dy.raw(),
                       .x = x.raw(),
                       .outputs = dy.dim(1),
                       .inputs = x.dim(1),
                       .leaves = leaves,
                       .dw = data_or_null<float>(dw),
                       .db = data_or_null<float>(db)});
}

}  // namespace heddle::kernels
