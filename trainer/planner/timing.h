// What measuring a machine needs: how long a job takes when nothing disturbs it, and numbers to do
// it with.
#pragma once

#include <functional>

#include "framework/core/precision.h"
#include "framework/core/tensor.h"

namespace heddle {

// At least `least` runs; more, up to `most`, until they took so many seconds together.
struct Repetitions {
  int least = 5;
  int most = 5;
  double seconds = 0;
};

// The least of some runs, in seconds: others may be at work meanwhile. The caller warms up.
double least_seconds(const std::function<void()>& run, const Repetitions& repetitions = {});

Tensor filled(const Shape& shape, float value, Precision precision = Precision::kF32,
              const Device& device = Device::cpu());

}  // namespace heddle
