#include "framework/optim/sgd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/optim/sgd.cpp"
#include "framework/ops/detail/simd_targets.h"
// Highway includes this file again for each instruction set.
#include <hwy/foreach_target.h>

#include "framework/core/error.h"
#include "framework/ops/detail/parallel_rows.h"
#include "framework/ops/detail/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

void sgd_span(float* weight, const float* gradient, float* velocity, int64_t n,
              const SgdStep& step) {
  const F d;
  const Vec scale = hn::Set(d, step.gradient_scale);
  const Vec decay = hn::Set(d, static_cast<float>(step.weight_decay));
  const Vec momentum = hn::Set(d, static_cast<float>(step.momentum));
  const Vec rate = hn::Set(d, static_cast<float>(step.lr));
  for_vectors(n, [&](int64_t, auto load, auto store) HWY_ATTR {
    const Vec w = load(weight);
    Vec change = hn::MulAdd(w, decay, hn::Mul(load(gradient), scale));
    if (velocity) {
      change = hn::MulAdd(load(velocity), momentum, change);
      store(change, velocity);
    }
    store(hn::NegMulAdd(change, rate, w), weight);
  });
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(sgd_span);

namespace kernels {

void sgd_update(Cpu on, std::span<float> weight, std::span<const float> gradient,
                std::span<float> velocity, const SgdStep& step) {
  const size_t kept = step.momentum != 0 ? weight.size() : 0;
  check(gradient.size() == weight.size() && velocity.size() == kept,
        "[sgd] {} weights, {} gradients, {} velocities. Expected {} velocities.", weight.size(),
        gradient.size(), velocity.size(), kept);
  parallel_rows(on, static_cast<int64_t>(weight.size()), 2, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(sgd_span)
    (weight.data() + begin, gradient.data() + begin,
     velocity.empty() ? nullptr : velocity.data() + begin, end - begin, step);
  });
}

}  // namespace kernels
}  // namespace heddle
#endif  // HWY_ONCE
