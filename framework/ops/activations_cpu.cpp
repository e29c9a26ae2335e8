#include "framework/ops/activations.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/ops/activations_cpu.cpp"
#include "framework/ops/detail/simd_targets.h"
// Highway includes this file again for each instruction set.
#include <hwy/foreach_target.h>

#include "framework/ops/detail/parallel_rows.h"
#include "framework/ops/detail/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

using kernels::Elementwise;

// Φ(x), the distribution function of the normal distribution.
HWY_INLINE Vec normal_cdf(Vec x) {
  const F d;
  const Vec half = hn::Set(d, 0.5f);
  return hn::MulAdd(half, erf(hn::Mul(x, hn::Set(d, 0.70710678118654752f))), half);
}

void activation_span(Elementwise kind, const float* x, float* y, int64_t n) {
  const F d;
  for_vectors(n, [&](int64_t, auto load, auto store) HWY_ATTR {
    const Vec v = load(x);
    switch (kind) {
      case Elementwise::kGelu:
        return store(hn::Mul(v, normal_cdf(v)), y);
      case Elementwise::kTanh:
        return store(tanh(v), y);
      case Elementwise::kRelu:
        return store(hn::Max(hn::Zero(d), v), y);
    }
  });
}

void activation_backward_span(Elementwise kind, const float* saved, const float* dy, float* dx,
                              int64_t n) {
  const F d;
  const Vec one = hn::Set(d, 1.0f);
  for_vectors(n, [&](int64_t, auto load, auto store) HWY_ATTR {
    const Vec v = load(saved);
    const Vec g = load(dy);
    switch (kind) {
      case Elementwise::kGelu: {  // Φ(x) + x φ(x)
        const Vec bell = exp(hn::Mul(hn::Mul(v, v), hn::Set(d, -0.5f)));
        const Vec density = hn::Mul(bell, hn::Set(d, 0.39894228040143268f));
        return store(hn::Mul(g, hn::MulAdd(v, density, normal_cdf(v))), dx);
      }
      case Elementwise::kTanh:
        return store(hn::Mul(g, hn::NegMulAdd(v, v, one)), dx);
      case Elementwise::kRelu:
        return store(hn::IfThenElseZero(hn::Gt(v, hn::Zero(d)), g), dx);
    }
  });
}

void softmax_rows(const float* x, float* y, int64_t rows, int64_t n) {
  const F d;
  for (int64_t row = 0; row < rows; ++row, x += n, y += n) {
    float maximum = x[0];
    for (int64_t i = 1; i < n; ++i) maximum = x[i] > maximum ? x[i] : maximum;
    const Vec m = hn::Set(d, maximum);
    for_vectors(
        n, [&](int64_t, auto load, auto store) HWY_ATTR { store(exp(hn::Sub(load(x), m)), y); });
    Vec sum = hn::Zero(d);
    for_vectors(n, [&](int64_t, auto load, auto) HWY_ATTR { sum = hn::Add(sum, load(y)); });
    const Vec inverse = hn::Div(hn::Set(d, 1.0f), hn::SumOfLanes(d, sum));
    for_vectors(
        n, [&](int64_t, auto load, auto store) HWY_ATTR { store(hn::Mul(load(y), inverse), y); });
  }
}

void softmax_backward_rows(const float* y, const float* dy, float* dx, int64_t rows, int64_t n) {
  const F d;
  for (int64_t row = 0; row < rows; ++row, y += n, dy += n, dx += n) {
    Vec sum = hn::Zero(d);
    for_vectors(
        n, [&](int64_t, auto load, auto) HWY_ATTR { sum = hn::MulAdd(load(y), load(dy), sum); });
    const Vec inner = hn::SumOfLanes(d, sum);
    for_vectors(n, [&](int64_t, auto load, auto store)
                       HWY_ATTR { store(hn::Mul(load(y), hn::Sub(load(dy), inner)), dx); });
  }
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(activation_span);
HWY_EXPORT(activation_backward_span);
HWY_EXPORT(softmax_rows);
HWY_EXPORT(softmax_backward_rows);

namespace kernels {
namespace {

constexpr int64_t kCost = 4;  // of an element, in additions

}  // namespace

void activation(Cpu on, Elementwise kind, const Tensor& x, Tensor& y) {
  parallel_rows(on, x.numel(), kCost, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(activation_span)
    (kind, x.data<float>() + begin, y.data<float>() + begin, end - begin);
  });
}

void activation_backward(Cpu on, Elementwise kind, const Tensor& saved, const Tensor& dy,
                         Tensor& dx) {
  parallel_rows(on, dy.numel(), kCost, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(activation_backward_span)
    (kind, saved.data<float>() + begin, dy.data<float>() + begin, dx.data<float>() + begin,
     end - begin);
  });
}

void softmax(Cpu on, const Tensor& x, Tensor& y) {
  const int64_t n = x.dim(-1);
  parallel_rows(on, x.numel() / n, kCost * n, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(softmax_rows)
    (x.data<float>() + begin * n, y.data<float>() + begin * n, end - begin, n);
  });
}

void softmax_backward(Cpu on, const Tensor& y, const Tensor& dy, Tensor& dx) {
  const int64_t n = y.dim(-1);
  parallel_rows(on, y.numel() / n, kCost * n, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(softmax_backward_rows)
    (y.data<float>() + begin * n, dy.data<float>() + begin * n, dx.data<float>() + begin * n,
     end - begin, n);
  });
}

}  // namespace kernels
}  // namespace heddle
#endif  // HWY_ONCE
