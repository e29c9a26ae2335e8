#include "framework/optim/adamw.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/optim/adamw.cpp"
#include "framework/ops/detail/simd_targets.h"
// Highway includes this file again for each instruction set.
#include <hwy/foreach_target.h>

#include <algorithm>
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

void adamw_zero_span(float* weight, float* m, float* v, int64_t n, const AdamWFactors& f) {
  const F d;
  for_vectors(n, [&](int64_t, auto load, auto store) HWY_ATTR {
    const AdamWState s = adamw_step({load(weight), load(m), load(v)}, hn::Zero(d), f);
    store(s.weight, weight);
    store(s.m, m);
    store(s.v, v);
  });
}

// What adamw_zero_span does to the weight where m and v are 0.
void decay_span(float* weight, int64_t n, float decay) {
  const F d;
  for_vectors(n, [&](int64_t, auto load, auto store)
                     HWY_ATTR { store(hn::Mul(load(weight), hn::Set(d, decay)), weight); });
}

void adamw_rows(const kernels::AdamWTable& t, int64_t begin, int64_t end, const AdamWFactors& f) {
  const int64_t* const first = t.ids.data();
  const int64_t* const last = first + t.ids.size();
  const int64_t* next = std::lower_bound(first, last, begin);
  for (int64_t row = begin; row < end; ++row) {
    const int64_t at = row * t.width;
    float* weight = t.weight.data() + at;
    float* m = t.m.data() + at;
    float* v = t.v.data() + at;
    if (next != last && *next == row) {
      adamw_span(weight, t.gradient.data() + (next - first) * t.width, m, v, t.width, f);
      ++next;
    } else if (!t.at_rest[static_cast<size_t>(row)]) {
      adamw_zero_span(weight, m, v, t.width, f);
    } else if (f.decay != 1) {
      decay_span(weight, t.width, f.decay);
    }
  }
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(adamw_span);
HWY_EXPORT(adamw_rows);

namespace kernels {

void adamw_update(Cpu on, std::span<float> weight, std::span<const float> gradient,
                  std::span<float> m, std::span<float> v, const AdamWStep& step) {
  check(gradient.size() == weight.size() && m.size() == weight.size() && v.size() == weight.size(),
        "[adamw] {} weights, {} gradients, {} and {} moments. Expected equal numbers.",
        weight.size(), gradient.size(), m.size(), v.size());
  check(step.step >= 1, "[adamw] step {}. Expected 1 or more.", step.step);
  const AdamWFactors factors(step);
  parallel_rows(on, static_cast<int64_t>(weight.size()), 2, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(adamw_span)
    (weight.data() + begin, gradient.data() + begin, m.data() + begin, v.data() + begin,
     end - begin, factors);
  });
}

void adamw_update_rows(Cpu on, const AdamWTable& t, const AdamWStep& step) {
  const auto rows = static_cast<int64_t>(t.at_rest.size());
  const auto ids = static_cast<int64_t>(t.ids.size());
  const auto count = static_cast<int64_t>(t.weight.size());
  check(t.m.size() == t.weight.size() && t.v.size() == t.weight.size() && count == rows * t.width,
        "[adamw] {} weights, {} and {} moments in {} rows of {}. Expected equal numbers.", count,
        t.m.size(), t.v.size(), rows, t.width);
  check(static_cast<int64_t>(t.gradient.size()) == ids * t.width,
        "[adamw] {} gradients for {} rows of {}.", t.gradient.size(), ids, t.width);
  check(ids == 0 || (t.ids.front() >= 0 && t.ids.back() < rows),
        "[adamw] gradients of rows {} to {}. Expected rows from 0 to {}.",
        ids == 0 ? 0 : t.ids.front(), ids == 0 ? 0 : t.ids.back(), rows - 1);
  check(step.step >= 1, "[adamw] step {}. Expected 1 or more.", step.step);
  const AdamWFactors factors(step);
  check(factors.eps > 0, "[adamw] eps {}. Expected more than 0: rows at rest would move.",
        step.eps);
  parallel_rows(on, rows, 2 * t.width, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(adamw_rows)(t, begin, end, factors);
  });
}

}  // namespace kernels
}  // namespace heddle
#endif  // HWY_ONCE
