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

// Calls body(i) for blocks of kAtOnce whole vectors of [0, n), and returns where they end. A
// vector's steps wait for each other; several vectors do not.
constexpr int64_t kAtOnce = 4;

template <typename Body>
HWY_INLINE int64_t for_blocks(int64_t n, Body&& body) {
  const int64_t block = kAtOnce * lanes();
  int64_t i = 0;
  for (; i + block <= n; i += block) body(i);
  return i;
}

void missed_span(float* weight, float* m, float* v, int64_t n,
                 std::span<const AdamWFactors> steps) {
  const F d;
  const int64_t done = for_blocks(n, [&](int64_t i) HWY_ATTR {
    AdamWState s[kAtOnce];
    for (int64_t b = 0; b < kAtOnce; ++b) {
      const int64_t at = i + b * lanes();
      s[b] = {hn::LoadU(d, weight + at), hn::LoadU(d, m + at), hn::LoadU(d, v + at)};
    }
    for (const AdamWFactors& f : steps) {
      for (AdamWState& one : s) one = adamw_step(one, hn::Zero(d), f);
    }
    for (int64_t b = 0; b < kAtOnce; ++b) {
      const int64_t at = i + b * lanes();
      hn::StoreU(s[b].weight, d, weight + at);
      hn::StoreU(s[b].m, d, m + at);
      hn::StoreU(s[b].v, d, v + at);
    }
  });
  for_vectors(n - done, [&](int64_t, auto load, auto store) HWY_ATTR {
    AdamWState s = {load(weight + done), load(m + done), load(v + done)};
    for (const AdamWFactors& f : steps) s = adamw_step(s, hn::Zero(d), f);
    store(s.weight, weight + done);
    store(s.m, m + done);
    store(s.v, v + done);
  });
}

// What missed_span does to the weight where m and v are 0.
void decay_span(float* weight, int64_t n, std::span<const AdamWFactors> steps) {
  const F d;
  const int64_t done = for_blocks(n, [&](int64_t i) HWY_ATTR {
    Vec w[kAtOnce];
    for (int64_t b = 0; b < kAtOnce; ++b) w[b] = hn::LoadU(d, weight + i + b * lanes());
    for (const AdamWFactors& f : steps) {
      for (Vec& one : w) one = hn::Mul(one, hn::Set(d, f.decay));
    }
    for (int64_t b = 0; b < kAtOnce; ++b) hn::StoreU(w[b], d, weight + i + b * lanes());
  });
  for_vectors(n - done, [&](int64_t, auto load, auto store) HWY_ATTR {
    Vec w = load(weight + done);
    for (const AdamWFactors& f : steps) w = hn::Mul(w, hn::Set(d, f.decay));
    store(w, weight + done);
  });
}

void adamw_rows(std::span<const kernels::AdamWRow> rows, int64_t width) {
  for (const kernels::AdamWRow& row : rows) {
    const auto missed = row.steps.first(row.steps.size() - (row.gradient ? 1 : 0));
    if (!row.at_rest) {
      if (!missed.empty()) missed_span(row.weight, row.m, row.v, width, missed);
    } else if (std::ranges::any_of(missed, [](auto& f) { return f.decay != 1; })) {
      decay_span(row.weight, width, missed);
    }
    if (row.gradient) adamw_span(row.weight, row.gradient, row.m, row.v, width, row.steps.back());
  }
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(adamw_span);
HWY_EXPORT(adamw_rows);

AdamWFactors::AdamWFactors(const AdamWStep& s)
    : decay(static_cast<float>(1.0 - s.lr * s.weight_decay)),
      to_m(static_cast<float>(1.0 - s.beta1)),
      to_v(static_cast<float>(1.0 - s.beta2)),
      keep_v(static_cast<float>(s.beta2)),
      root(static_cast<float>(1.0 /
                              std::sqrt(1.0 - std::pow(s.beta2, static_cast<double>(s.step))))),
      eps(static_cast<float>(s.eps)),
      rate(static_cast<float>(s.lr / (1.0 - std::pow(s.beta1, static_cast<double>(s.step))))),
      gradient_scale(s.gradient_scale) {
  check(s.step >= 1, "[adamw] step {}. Expected 1 or more.", s.step);
}

namespace kernels {

void adamw_update(Cpu on, std::span<float> weight, std::span<const float> gradient,
                  std::span<float> m, std::span<float> v, const AdamWStep& step) {
  check(gradient.size() == weight.size() && m.size() == weight.size() && v.size() == weight.size(),
        "[adamw] {} weights, {} gradients, {} and {} moments. Expected equal numbers.",
        weight.size(), gradient.size(), m.size(), v.size());
  const AdamWFactors factors(step);
  parallel_rows(on, static_cast<int64_t>(weight.size()), 2, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(adamw_span)
    (weight.data() + begin, gradient.data() + begin, m.data() + begin, v.data() + begin,
     end - begin, factors);
  });
}

void adamw_update_rows(Cpu on, std::span<const AdamWRow> rows, int64_t width) {
  int64_t steps = 0;
  for (const AdamWRow& row : rows) steps += static_cast<int64_t>(row.steps.size());
  const auto count = static_cast<int64_t>(rows.size());
  const int64_t cost = 4 * width * steps / std::max<int64_t>(1, count);
  parallel_rows(on, count, cost, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(adamw_rows)
    (rows.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), width);
  });
}

}  // namespace kernels
}  // namespace heddle
#endif  // HWY_ONCE
