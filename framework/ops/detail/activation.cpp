#include "framework/ops/detail/activation.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/ops/detail/activation.cpp"
#include "framework/ops/detail/simd_targets.h"
// The file is compiled from here on for each instruction set.
#include <hwy/foreach_target.h>

#include "framework/ops/detail/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {
namespace {

// Φ(-|x|) = e · t · P(t) with e = exp(-x²/2) and t = 1 / (1 + 0.35 |x|): P is a Chebyshev fit for
// |x| <= 14, where the function is below the least float; relative error 4e-8. Relative, so that
// the tail of gelu is right too. `e` is given back: the density is e / sqrt(2π).
HWY_INLINE Vec normal_tail(Vec x, Vec& e) {
  const F d;
  const Vec a = hn::Abs(x);
  e = exp(hn::Mul(hn::Mul(hn::Set(d, -0.5f), a), a));
  const Vec t = hn::Div(hn::Set(d, 1.0f), hn::MulAdd(hn::Set(d, 0.35f), a, hn::Set(d, 1.0f)));
  Vec p = hn::Set(d, -0.029679522f);
  for (const float c : {0.1465458303f, -0.2609612283f, 0.1650509959f, -0.02704660827f,
                        0.1071145876f, 0.1194449168f, 0.1399122981f, 0.1396187126f}) {
    p = hn::MulAdd(p, t, hn::Set(d, c));
  }
  return hn::Mul(hn::Mul(e, t), p);
}

HWY_INLINE Vec normal_distribution(Vec x, Vec& e) {
  const F d;
  const Vec tail = normal_tail(x, e);
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(hn::Set(d, 1.0f), tail));
}

template <Activation kActivation>
HWY_INLINE Vec apply(Vec x) {
  const F d;
  if constexpr (kActivation == Activation::kGelu) {
    Vec e;
    return hn::Mul(x, normal_distribution(x, e));
  } else if constexpr (kActivation == Activation::kTanh) {
    return tanh(x);
  } else if constexpr (kActivation == Activation::kRelu) {
    return hn::Max(x, hn::Zero(d));
  } else {
    return x;
  }
}

template <Activation kActivation>
HWY_INLINE Vec derivative(Vec kept) {
  const F d;
  const Vec one = hn::Set(d, 1.0f);
  if constexpr (kActivation == Activation::kGelu) {
    Vec e;
    const Vec distribution = normal_distribution(kept, e);
    return hn::MulAdd(hn::Mul(kept, hn::Set(d, 0.39894228f)), e, distribution);
  } else if constexpr (kActivation == Activation::kTanh) {
    return hn::NegMulAdd(kept, kept, one);
  } else if constexpr (kActivation == Activation::kRelu) {
    return hn::IfThenElseZero(hn::Gt(kept, hn::Zero(d)), one);
  } else {
    return one;
  }
}

template <Activation kActivation>
void bias_activation_of(const kernels::RowBlock& y, const float* bias, float* before) {
  for (int64_t r = 0; r < y.rows; ++r) {
    float* row = y.data + r * y.stride;
    float* kept = before ? before + r * y.stride : nullptr;
    for_vectors(y.columns, [=](int64_t, auto load, auto store) HWY_ATTR {
      Vec x = load(row);
      if (bias) x = hn::Add(x, load(bias));
      if (kept) store(x, kept);
      store(apply<kActivation>(x), row);
    });
  }
}

template <Activation kActivation>
void activation_backward_of(const float* dy, const float* kept, float* dx, int64_t n) {
  for_vectors(n, [=](int64_t, auto load, auto store) HWY_ATTR {
    store(hn::Mul(load(dy), derivative<kActivation>(load(kept))), dx);
  });
}

void bias_activation(const kernels::RowBlock& y, const float* bias, Activation activation,
                     float* before) {
  switch (activation) {
    case Activation::kNone:
      return bias_activation_of<Activation::kNone>(y, bias, before);
    case Activation::kGelu:
      return bias_activation_of<Activation::kGelu>(y, bias, before);
    case Activation::kTanh:
      return bias_activation_of<Activation::kTanh>(y, bias, before);
    case Activation::kRelu:
      return bias_activation_of<Activation::kRelu>(y, bias, before);
  }
}

void activation_backward(Activation activation, const float* dy, const float* kept, float* dx,
                         int64_t n) {
  switch (activation) {
    case Activation::kNone:
      std::copy_n(dy, n, dx);
      return;
    case Activation::kGelu:
      return activation_backward_of<Activation::kGelu>(dy, kept, dx, n);
    case Activation::kTanh:
      return activation_backward_of<Activation::kTanh>(dy, kept, dx, n);
    case Activation::kRelu:
      return activation_backward_of<Activation::kRelu>(dy, kept, dx, n);
  }
}

}  // namespace
}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(bias_activation);
HWY_EXPORT(activation_backward);

namespace kernels {

void bias_activation(const RowBlock& y, const float* bias, Activation activation, float* before) {
  HWY_DYNAMIC_DISPATCH(bias_activation)(y, bias, activation, before);
}

void activation_backward(Activation activation, const float* dy, const float* kept, float* dx,
                         int64_t n) {
  HWY_DYNAMIC_DISPATCH(activation_backward)(activation, dy, kept, dx, n);
}

}  // namespace kernels
}  // namespace heddle
#endif
