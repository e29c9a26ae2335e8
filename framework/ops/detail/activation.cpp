#include "framework/ops/detail/activation.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/ops/detail/activation.cpp"
#include "framework/ops/detail/simd_targets.h"
// The file is compiled from here on for each instruction set.
#include <hwy/foreach_target.h>

#include "framework/ops/detail/activation-inl.h"
#include "framework/ops/detail/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {
namespace {

template <Activation kActivation, typename T>
HWY_INLINE void bias_activation_of(const kernels::RowBlock& product, const float* bias, T* to,
                                   T* derivatives, int64_t stride) {
  for (int64_t r = 0; r < product.rows; ++r) {
    const float* row = product.data + r * product.stride;
    T* result = to + r * stride;
    T* kept = derivatives ? derivatives + r * stride : nullptr;
    for_vectors(product.columns, [=](int64_t, auto load, auto store) HWY_ATTR {
      Vec x = load(row);
      if (bias) x = hn::Add(x, load(bias));
      if (kActivation == Activation::kGelu && kept) {
        Vec derivative;
        store(gelu_and_derivative<T>(x, derivative), result);
        store(derivative, kept);
      } else {
        store(apply<kActivation, T>(x), result);
      }
    });
  }
}

template <Activation kActivation, typename T>
HWY_INLINE void activation_backward_of(const T* dy, const T* kept, T* dx, int64_t n) {
  for_vectors(n, [=](int64_t, auto load, auto store) HWY_ATTR {
    store(hn::Mul(load(dy), derivative<kActivation>(load(kept))), dx);
  });
}

void bias_activation(const kernels::RowBlock& y, const float* bias, Activation activation,
                     float* derivatives) {
  for_activation(activation, [&]<Activation kActivation>() HWY_ATTR {
    bias_activation_of<kActivation>(y, bias, y.data, derivatives, y.stride);
  });
}

void bias_activation_bf16(const kernels::RowBlock& product, const float* bias,
                          Activation activation, const kernels::BFloat16Block& to) {
  for_activation(activation, [&]<Activation kActivation>() HWY_ATTR {
    bias_activation_of<kActivation>(product, bias, to.data, to.derivatives, to.stride);
  });
}

void activation_backward(Activation activation, const float* dy, const float* kept, float* dx,
                         int64_t n) {
  for_activation(activation, [&]<Activation kActivation>() HWY_ATTR {
    activation_backward_of<kActivation>(dy, kept, dx, n);
  });
}

void activation_backward_bf16(Activation activation, const BFloat16* dy, const BFloat16* kept,
                              BFloat16* dx, int64_t n) {
  for_activation(activation, [&]<Activation kActivation>() HWY_ATTR {
    activation_backward_of<kActivation>(dy, kept, dx, n);
  });
}

}  // namespace
}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(bias_activation);
HWY_EXPORT(bias_activation_bf16);
HWY_EXPORT(activation_backward);
HWY_EXPORT(activation_backward_bf16);

namespace kernels {

void bias_activation(const RowBlock& y, const float* bias, Activation activation,
                     float* derivatives) {
  HWY_DYNAMIC_DISPATCH(bias_activation)(y, bias, activation, derivatives);
}

void bias_activation(const RowBlock& product, const float* bias, Activation activation,
                     const BFloat16Block& to) {
  HWY_DYNAMIC_DISPATCH(bias_activation_bf16)(product, bias, activation, to);
}

void activation_backward(Activation activation, const float* dy, const float* kept, float* dx,
                         int64_t n) {
  HWY_DYNAMIC_DISPATCH(activation_backward)(activation, dy, kept, dx, n);
}

void activation_backward(Activation activation, const BFloat16* dy, const BFloat16* kept,
                         BFloat16* dx, int64_t n) {
  HWY_DYNAMIC_DISPATCH(activation_backward_bf16)(activation, dy, kept, dx, n);
}

}  // namespace kernels
}  // namespace heddle
#endif
