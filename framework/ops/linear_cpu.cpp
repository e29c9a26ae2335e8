#include <algorithm>

#include "framework/ops/detail/activation.h"
#include "framework/ops/detail/weight_gradient.h"
#include "framework/ops/linear.h"

namespace heddle::kernels {
namespace {

// Elements of a task that is element by element.
constexpr int64_t kElements = 16384;

float* data_or_null(const Tensor& t) {
  return t.defined() ? t.data<float>() : nullptr;
}

}  // namespace

void linear(Cpu on, const Tensor& x, const PackedWeight& weight, const Tensor& bias,
            Activation activation, Tensor& y, Tensor& before) {
  const float* b = data_or_null(bias);
  float* kept = data_or_null(before);
  PackedWeight::Epilogue finish;
  if (b || kept || activation != Activation::kNone) {
    finish = [=, stride = y.dim(1)](const RowBlock& block, int64_t row, int64_t column) {
      bias_activation(block, b ? b + column : nullptr, activation,
                      kept ? kept + row * stride + column : nullptr);
    };
  }
  weight.multiply(on, x.data<float>(), x.dim(0), y.data<float>(), finish);
}

void linear_activation_backward(Cpu on, Activation activation, const Tensor& dy,
                                const Tensor& saved, Tensor& dx) {
  const int64_t n = dy.numel();
  on.parallel_for((n + kElements - 1) / kElements, [&](int64_t task) {
    const int64_t first = task * kElements;
    activation_backward(activation, dy.data<float>() + first, saved.data<float>() + first,
                        dx.data<float>() + first, std::min(kElements, n - first));
  });
}

void linear_input_gradient(Cpu on, const Tensor& dy, const PackedWeight& weight, Tensor& dx) {
  weight.multiply(on, dy.data<float>(), dy.dim(0), dx.data<float>());
}

void linear_weight_gradient(Cpu on, const Tensor& dy, const Tensor& x,
                            std::span<const int64_t> leaves, const Tensor& dw, const Tensor& db) {
  weight_gradient(on, {.dy = dy.data<float>(),
                       .x = x.data<float>(),
                       .outputs = dy.dim(1),
                       .inputs = x.dim(1),
                       .leaves = leaves,
                       .dw = data_or_null(dw),
                       .db = data_or_null(db)});
}

}  // namespace heddle::kernels
