// The learning rate of each step.
//
//   const Schedule schedule{.shape = Schedule::Shape::kLinear, .lr = 5e-5, .warmup_steps = 114};
//   learning_rate(schedule, 0, 1895);     // 0: the first step of a warm-up
//   learning_rate(schedule, 114, 1895);   // 5e-5
//
// Steps count from 0 and the rate is that of the update which the step ends with, as in Hugging
// Face's schedules; linear, cosine and inverse_sqrt give their numbers bit for bit where `end`
// is 0.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

struct Schedule {
  enum class Shape {
    kLinear,       // straight down to the end
    kCosine,       // half a cosine down to the end
    kConstant,     // stays at its peak
    kInverseSqrt,  // falls as 1 / sqrt(step); without warm-up as after one of 10,000 steps
    kWsd,          // warm-up, stable, decay: at its peak, then straight down in the last steps
  };

  Shape shape = Shape::kLinear;
  double lr = 0;                  // the peak
  std::int64_t warmup_steps = 0;  // rises from 0 in a straight line
  double end = 0;                 // kLinear, kCosine, kWsd: the rate at the end, a part of the peak
  std::int64_t decay_steps = 0;   // kWsd: how many of the last steps go down
};

// "linear", "cosine", "constant", "inverse_sqrt", "wsd".
const std::vector<std::string>& schedule_names();
// Throws Error(kInput), with the nearest name, if there is no such schedule.
Schedule::Shape schedule_shape(std::string_view name);

// The rate of step `step` of a run of `total_steps`, as a part of the peak: 0 to 1. After the last
// step it stays at its end. Throws std::invalid_argument if a count is negative, or `end` is not
// from 0 to 1.
double learning_rate_factor(const Schedule& schedule, std::int64_t step, std::int64_t total_steps);

// The same times the peak.
double learning_rate(const Schedule& schedule, std::int64_t step, std::int64_t total_steps);

}  // namespace heddle
