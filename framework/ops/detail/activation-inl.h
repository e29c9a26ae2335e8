// Activations of vectors, for the instruction set that Highway compiles the including file for.
#if defined(HEDDLE_OPS_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HEDDLE_OPS_ACTIVATION_INL_H_
#undef HEDDLE_OPS_ACTIVATION_INL_H_
#else
#define HEDDLE_OPS_ACTIVATION_INL_H_
#endif

#include <type_traits>

#include "framework/ops/detail/activation.h"
#include "framework/ops/detail/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

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

// Half and x times a polynomial of x², its coefficients from the highest power, for an x cut to
// [-4.5, 4.5]: what Φ and gelu' are within the accuracy of bf16. Minimax fits.
template <size_t N>
HWY_INLINE Vec half_and_odd(Vec x, const float (&coefficients)[N]) {
  const F d;
  x = hn::Min(hn::Set(d, 4.5f), hn::Max(hn::Set(d, -4.5f), x));
  const Vec u = hn::Mul(x, x);
  Vec p = hn::Set(d, coefficients[0]);
  for (size_t i = 1; i < N; ++i) p = hn::MulAdd(p, u, hn::Set(d, coefficients[i]));
  return hn::MulAdd(x, p, hn::Set(d, 0.5f));
}

HWY_INLINE Vec rough_gelu(Vec x) {
  constexpr float c[] = {-1.400070055550262e-12f, 1.697306462045134e-10f,  -9.19375953145618e-09f,
                         2.9589011774078244e-07f, -6.365259650920052e-06f, 9.787139424588531e-05f,
                         -0.001122678630053997f,  0.009833185002207756f,   -0.06633705645799637f,
                         0.39888378977775574f};
  return hn::Mul(x, half_and_odd(x, c));
}

HWY_INLINE Vec rough_gelu_derivative(Vec x) {
  constexpr float c[] = {-2.210826487158979e-11f, 2.5213409138302723e-09f, -1.2680621352956223e-07f,
                         3.7219524529064074e-06f, -7.122215902199969e-05f, 0.00094054319197312f,
                         -0.00881586316972971f,   0.05860930681228638f,    -0.26492568850517273f,
                         0.7976261377334595f};
  return half_and_odd(x, c);
}

// T is what the result is rounded to.
template <Activation kActivation, typename T>
HWY_INLINE Vec apply(Vec x) {
  const F d;
  if constexpr (kActivation == Activation::kGelu && std::is_same_v<T, BFloat16>) {
    return rough_gelu(x);
  } else if constexpr (kActivation == Activation::kGelu) {
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

// gelu(x), and its derivative, which costs little more.
template <typename T>
HWY_INLINE Vec gelu_and_derivative(Vec x, Vec& derivative) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    derivative = rough_gelu_derivative(x);
    return rough_gelu(x);
  }
  const F d;
  Vec e;
  const Vec distribution = normal_distribution(x, e);
  derivative = hn::MulAdd(hn::Mul(x, hn::Set(d, 0.39894228f)), e, distribution);
  return hn::Mul(x, distribution);
}

template <Activation kActivation>
HWY_INLINE Vec derivative(Vec kept) {
  const F d;
  const Vec one = hn::Set(d, 1.0f);
  if constexpr (kActivation == Activation::kGelu) {
    return kept;
  } else if constexpr (kActivation == Activation::kTanh) {
    return hn::NegMulAdd(kept, kept, one);
  } else if constexpr (kActivation == Activation::kRelu) {
    return hn::IfThenElseZero(hn::Gt(kept, hn::Zero(d)), one);
  } else {
    return one;
  }
}

// Calls with_activation.template operator()<activation>().
template <typename Body>
HWY_INLINE void for_activation(Activation activation, Body&& with_activation) {
  switch (activation) {
    case Activation::kNone:
      return with_activation.template operator()<Activation::kNone>();
    case Activation::kGelu:
      return with_activation.template operator()<Activation::kGelu>();
    case Activation::kTanh:
      return with_activation.template operator()<Activation::kTanh>();
    case Activation::kRelu:
      return with_activation.template operator()<Activation::kRelu>();
  }
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HEDDLE_OPS_ACTIVATION_INL_H_
