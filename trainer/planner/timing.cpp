#include "trainer/planner/timing.h"

#include <algorithm>
#include <chrono>

#include "framework/ops/cast.h"

namespace heddle {

double least_seconds(const std::function<void()>& run, const Repetitions& repetitions) {
  using Clock = std::chrono::steady_clock;
  double least = 1e9;
  double spent = 0;
  for (int i = 0; i < repetitions.least || (spent < repetitions.seconds && i < repetitions.most);
       ++i) {
    const auto begun = Clock::now();
    run();
    const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    least = std::min(least, seconds);
    spent += seconds;
  }
  return std::max(least, 1e-9);
}

Tensor filled(const Shape& shape, float value, Precision precision, const Device& device) {
  const Tensor t = Tensor::empty(shape, DType::kF32, device);
  t.fill(value);
  return cast(t, activation_type(precision));
}

}  // namespace heddle
