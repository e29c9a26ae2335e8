#include "framework/optim/adamw.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/optim/adamw.cpp"
#include "framework/ops/detail/simd_targets.h"
// Highway includes this file again for each instruction set.
#include <hwy/foreach_target.h>

#include <cmath>

#include "framework/core/error.h"
#include "framework/ops/detail/parallel_rows.h"
#include "framework/ops/detail/simd-inl.h"

#ifndef HEDDLE_OPTIM_ADAMW_
#define HEDDLE_OPTIM_ADAMW_
namespace heddle {

// A step's numbers as the kernel uses them: made in double, rounded once.
struct AdamWFactors {
  float decay;       // 1 - lr * weight_decay
  float to_m, to_v;  // 1 - beta
  float keep_v;      // beta2
  float root;        // 1 / sqrt(1 - beta2^step)
  float eps;
  float rate;  // lr / (1 - beta1^step)
  float gradient_scale;

  explicit AdamWFactors(const AdamWStep& s)
      : decay(static_cast<float>(1.0 - s.lr * s.weight_decay)),
        to_m(static_cast<float>(1.0 - s.beta1)),
        to_v(static_cast<float>(1.0 - s.beta2)),
        keep_v(static_cast<float>(s.beta2)),
        root(static_cast<float>(1.0 /
                                std::sqrt(1.0 - std::pow(s.beta2, static_cast<double>(s.step))))),
        eps(static_cast<float>(s.eps)),
        rate(static_cast<float>(s.lr / (1.0 - std::pow(s.beta1, static_cast<double>(s.step))))),
        gradient_scale(s.gradient_scale) {}
};

}  // namespace heddle
#endif

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

struct AdamWState {
  Vec weight, m, v;
};

HWY_INLINE AdamWState adamw_step(AdamWState s, Vec gradient, const AdamWFactors& f) {
  const F d;
  s.weight = hn::Mul(s.weight, hn::Set(d, f.decay));
  s.m = hn::MulAdd(hn::Sub(gradient, s.m), hn::Set(d, f.to_m), s.m);
  const Vec square = hn::Mul(hn::Mul(gradient, gradient), hn::Set(d, f.to_v));
  s.v = hn::MulAdd(s.v, hn::Set(d, f.keep_v), square);
  const Vec below = hn::MulAdd(hn::Sqrt(s.v), hn::Set(d, f.root), hn::Set(d, f.eps));
  s.weight = hn::NegMulAdd(hn::Div(s.m, below), hn::Set(d, f.rate), s.weight);
  return s;
}

void adamw_span(float* weight, const float* gradient, float* m, float* v, int64_t n,
                const AdamWFactors& f) {
  const F d;
  const Vec scale = hn::Set(d, f.gradient_scale);
  for_vectors(n, [&](int64_t, auto load, auto store) HWY_ATTR {
    const AdamWState s =
        adamw_step({load(weight), load(m), load(v)}, hn::Mul(load(gradient), scale), f);
    store(s.weight, weight);
    store(s.m, m);
    store(s.v, v);
  });
}

void adamw_zero_span(float* weight, float* m, float* v, int64_t n, const AdamWFactors* steps,
                     int64_t count) {
  const F d;
  for_vectors(n, [&](int64_t, auto load, auto store) HWY_ATTR {
    AdamWState s{load(weight), load(m), load(v)};
    for (int64_t i = 0; i < count; ++i) s = adamw_step(s, hn::Zero(d), steps[i]);
    store(s.weight, weight);
    store(s.m, m);
    store(s.v, v);
  });
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(adamw_span);
HWY_EXPORT(adamw_zero_span);

namespace kernels {

void adamw_update(Cpu on, std::span<float> weight, std::span<const float> gradient,
                  std::span<float> m, std::span<float> v, const AdamWStep& step) {
  check(gradient.size() == weight.size() && m.size() == weight.size() && v.size() == weight.size(),
        "[adamw] {} weights, {} gradients, {} and {} moments. Expected equal numbers.", weight.size(),
        gradient.size(), m.size(), v.size());
  check(step.step >= 1, "[adamw] step {}. Expected 1 or more.", step.step);
  const AdamWFactors factors(step);
  parallel_rows(on, static_cast<int64_t>(weight.size()), 2, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(adamw_span)
    (weight.data() + begin, gradient.data() + begin, m.data() + begin, v.data() + begin,
     end - begin, factors);
  });
}

void adamw_update_zero_gradient(Cpu on, std::span<float> weight, std::span<float> m,
                                std::span<float> v, std::span<const AdamWStep> steps) {
  check(m.size() == weight.size() && v.size() == weight.size(),
        "[adamw] {} weights, {} and {} moments. Expected equal numbers.", weight.size(), m.size(),
        v.size());
  std::vector<AdamWFactors> factors;
  for (const AdamWStep& step : steps) {
    check(step.step >= 1, "[adamw] step {}. Expected 1 or more.", step.step);
    factors.emplace_back(step);
  }
  const auto count = static_cast<int64_t>(factors.size());
  parallel_rows(on, static_cast<int64_t>(weight.size()), 2 * count,
                [&](int64_t begin, int64_t end) {
                  HWY_DYNAMIC_DISPATCH(adamw_zero_span)
                  (weight.data() + begin, m.data() + begin, v.data() + begin, end - begin,
                   factors.data(), count);
                });
}

}  // namespace kernels
}  // namespace heddle
#endif  // HWY_ONCE
