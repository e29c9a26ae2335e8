#include "framework/optim/adamw.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/optim/adamw.cpp"
#include "framework/ops/detail/simd_targets.h"
// Highway includes this file again for each instruction set.
#include <hwy/foreach_target.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "framework/core/error.h"
#include "framework/ops/detail/parallel_rows.h"
#include "framework/ops/detail/simd-inl.h"

#ifndef HEDDLE_OPTIM_ADAMW_
#define HEDDLE_OPTIM_ADAMW_
namespace heddle {

// Every so many missed steps it is worth seeing whether the others move the weight at all.
constexpr size_t kRest = 32;

// Bounds of what the missed steps from one on do.
struct AdamWRest {
  float rate = 0;           // the greatest, without its sign
  float root = 0, eps = 0;  // the least
  float keep_v = 1;         // all together
  float decay = 1;          // all together
};

// rests[i] is of the steps from i · kRest on.
inline void find_rests(std::span<const AdamWFactors> steps, std::vector<AdamWRest>& rests) {
  constexpr float kNever = std::numeric_limits<float>::infinity();  // as a rate
  rests.resize((steps.size() + kRest - 1) / kRest);
  AdamWRest rest{.root = kNever, .eps = kNever};
  double keep_v = 1, decay = 1;
  for (size_t i = steps.size(); i-- > 0;) {
    const AdamWFactors& f = steps[i];
    const bool falls = f.to_m >= 0 && f.to_m <= 1 && f.keep_v >= 0 && f.keep_v <= 1;
    rest.rate = std::max(rest.rate, falls ? std::abs(f.rate) : kNever);
    rest.root = std::min(rest.root, f.root);
    rest.eps = std::min(rest.eps, f.eps);
    keep_v *= f.keep_v;
    decay *= std::clamp(f.decay, 0.0f, 1.0f);
    if (i % kRest != 0) continue;
    rest.keep_v = static_cast<float>(0.99 * keep_v);
    rest.decay = static_cast<float>(0.99 * decay);
    rests[i / kRest] = rest;
  }
}

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

// A vector's steps wait for each other; so many vectors at once do not.
constexpr int64_t kAtOnce = 4;

// Calls body(state) for the vectors of a row, kAtOnce of them at a time or one: an array.
template <typename Body>
HWY_INLINE void for_states(float* weight, float* m, float* v, int64_t n, Body&& body) {
  const F d;
  const int64_t step = lanes();
  int64_t i = 0;
  for (; i + kAtOnce * step <= n; i += kAtOnce * step) {
    AdamWState s[kAtOnce];
    for (int64_t b = 0; b < kAtOnce; ++b) {
      const int64_t at = i + b * step;
      s[b] = {hn::LoadU(d, weight + at), hn::LoadU(d, m + at), hn::LoadU(d, v + at)};
    }
    body(s);
    for (int64_t b = 0; b < kAtOnce; ++b) {
      const int64_t at = i + b * step;
      hn::StoreU(s[b].weight, d, weight + at);
      hn::StoreU(s[b].m, d, m + at);
      hn::StoreU(s[b].v, d, v + at);
    }
  }
  for_vectors(n - i, [&](int64_t, auto load, auto store) HWY_ATTR {
    AdamWState s[1] = {{load(weight + i), load(m + i), load(v + i)}};
    body(s);
    store(s[0].weight, weight + i);
    store(s[0].m, m + i);
    store(s[0].v, v + i);
  });
}

// Whether none of the steps to come moves the weights, but for the decay. A step adds less than
// rate · m / (√v · root + eps), of which m only falls and v at most to v · keep_v; what is below
// 2^-26 of the weight is rounded away. 2^-27 here, for the roundings of these numbers themselves.
// What may become 0 or a denormal is left to adamw_step.
template <size_t kCount>
HWY_INLINE bool weights_stay(const AdamWState (&s)[kCount], const AdamWRest& rest) {
  const F d;
  const Vec least = hn::Set(d, 1e-37f);
  auto all = hn::FirstN(d, static_cast<size_t>(lanes()));
  for (const AdamWState& one : s) {
    const Vec kept = hn::Mul(one.v, hn::Set(d, rest.keep_v));
    const Vec lowest = hn::IfThenElseZero(hn::Gt(kept, least), kept);
    const Vec below = hn::MulAdd(hn::Sqrt(lowest), hn::Set(d, rest.root), hn::Set(d, rest.eps));
    const Vec weight = hn::Mul(hn::Abs(one.weight), hn::Set(d, rest.decay));
    const Vec rounded_away = hn::Mul(hn::Mul(weight, hn::Set(d, 0x1p-27f)), below);
    const auto small = hn::Lt(hn::Mul(hn::Abs(one.m), hn::Set(d, rest.rate)), rounded_away);
    const auto none = hn::And(hn::Eq(one.m, hn::Zero(d)), hn::Gt(weight, least));
    all = hn::And(all, hn::Or(small, none));
  }
  return hn::AllTrue(d, all);
}

// What adamw_step without a gradient does, where the weights stay.
HWY_INLINE AdamWState moments_step(AdamWState s, const AdamWFactors& f) {
  const F d;
  s.weight = hn::Mul(s.weight, hn::Set(d, f.decay));
  s.m = hn::MulAdd(hn::Sub(hn::Zero(d), s.m), hn::Set(d, f.to_m), s.m);
  s.v = hn::MulAdd(s.v, hn::Set(d, f.keep_v), hn::Zero(d));
  return s;
}

void missed_span(float* weight, float* m, float* v, int64_t n, std::span<const AdamWFactors> steps,
                 std::span<const AdamWRest> rests) {
  const F d;
  for_states(weight, m, v, n, [&](auto& s) HWY_ATTR {
    size_t i = 0;
    for (const AdamWRest& rest : rests) {
      if (steps.size() > kRest && weights_stay(s, rest)) break;
      for (const size_t end = std::min(i + kRest, steps.size()); i < end; ++i) {
        for (AdamWState& one : s) one = adamw_step(one, hn::Zero(d), steps[i]);
      }
    }
    for (; i < steps.size(); ++i) {
      for (AdamWState& one : s) one = moments_step(one, steps[i]);
    }
  });
}

// What missed_span does to the weight where m and v are 0.
void decay_span(float* weight, int64_t n, std::span<const AdamWFactors> steps) {
  const F d;
  const int64_t block = kAtOnce * lanes();
  int64_t i = 0;
  for (; i + block <= n; i += block) {
    Vec w[kAtOnce];
    for (int64_t b = 0; b < kAtOnce; ++b) w[b] = hn::LoadU(d, weight + i + b * lanes());
    for (const AdamWFactors& f : steps) {
      for (Vec& one : w) one = hn::Mul(one, hn::Set(d, f.decay));
    }
    for (int64_t b = 0; b < kAtOnce; ++b) hn::StoreU(w[b], d, weight + i + b * lanes());
  }
  for_vectors(n - i, [&](int64_t, auto load, auto store) HWY_ATTR {
    Vec w = load(weight + i);
    for (const AdamWFactors& f : steps) w = hn::Mul(w, hn::Set(d, f.decay));
    store(w, weight + i);
  });
}

void adamw_rows(std::span<const kernels::AdamWRow> rows, int64_t width) {
  std::vector<AdamWRest> rests;
  for (const kernels::AdamWRow& row : rows) {
    const auto missed = row.steps.first(row.steps.size() - (row.gradient ? 1 : 0));
    if (!row.at_rest) {
      find_rests(missed, rests);
      if (!missed.empty()) missed_span(row.weight, row.m, row.v, width, missed, rests);
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
