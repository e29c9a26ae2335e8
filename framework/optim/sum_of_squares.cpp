#include "framework/optim/sum_of_squares.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/optim/sum_of_squares.cpp"
#include "framework/ops/detail/simd_targets.h"
// Highway includes this file again for each instruction set.
#include <hwy/foreach_target.h>

#include <algorithm>

#include "framework/ops/detail/parallel_rows.h"
#include "framework/ops/detail/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

// In double: four chains of half vectors, then their lanes.
double squares_of_span(const float* x, int64_t n) {
  const hn::ScalableTag<double> wide;
  const hn::Rebind<float, decltype(wide)> narrow;
  const auto step = static_cast<int64_t>(hn::Lanes(wide));
  auto s0 = hn::Zero(wide);
  auto s1 = s0, s2 = s0, s3 = s0;
  const auto add = [&](auto sum, int64_t i) HWY_ATTR {
    const auto v = hn::PromoteTo(wide, hn::LoadU(narrow, x + i));
    return hn::MulAdd(v, v, sum);
  };
  int64_t i = 0;
  for (; i + 4 * step <= n; i += 4 * step) {
    s0 = add(s0, i);
    s1 = add(s1, i + step);
    s2 = add(s2, i + 2 * step);
    s3 = add(s3, i + 3 * step);
  }
  double sum = hn::GetLane(hn::SumOfLanes(wide, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
  for (; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  return sum;
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(squares_of_span);

namespace kernels {

std::vector<double> sum_of_squares(Cpu on, std::span<const float> values, int64_t begin) {
  const int64_t end = begin + static_cast<int64_t>(values.size());
  const int64_t first = begin / kSquareBlock;
  const int64_t count = values.empty() ? 0 : (end - 1) / kSquareBlock + 1 - first;
  std::vector<double> sums(static_cast<size_t>(count));
  parallel_rows(on, count, kSquareBlock, [&](int64_t from, int64_t to) {
    for (int64_t b = from; b < to; ++b) {
      const int64_t low = std::max(begin, (first + b) * kSquareBlock);
      const int64_t high = std::min(end, (first + b + 1) * kSquareBlock);
      sums[static_cast<size_t>(b)] =
          HWY_DYNAMIC_DISPATCH(squares_of_span)(values.data() + (low - begin), high - low);
    }
  });
  return sums;
}

}  // namespace kernels
}  // namespace heddle
#endif  // HWY_ONCE
