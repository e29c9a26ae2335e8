#include "framework/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "framework/core/error.h"
#include "framework/core/nearest_name.h"

namespace heddle {
namespace {

constexpr std::int64_t kInverseSqrtSteps = 10000;  // the time scale without warm-up

double ratio(std::int64_t part, std::int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(std::max<std::int64_t>(1, whole));
}

// From 1 to `end` as `share` goes from 1 to 0.
double between(double end, double share) {
  return end + (1 - end) * std::max(0.0, share);
}

}  // namespace

const std::vector<std::string>& schedule_names() {
  static const std::vector<std::string> names{"linear", "cosine", "constant", "inverse_sqrt",
                                              "wsd"};
  return names;
}

Schedule::Shape schedule_shape(std::string_view name) {
  const std::vector<std::string>& names = schedule_names();  // in the order of Shape
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    throw Error(ExitCode::kInput, fmt::format("unknown schedule '{}'", name),
                did_you_mean(name, names));
  }
  return static_cast<Schedule::Shape>(found - names.begin());
}

double learning_rate_factor(const Schedule& schedule, std::int64_t step, std::int64_t total_steps) {
  const std::int64_t warmup = schedule.warmup_steps;
  check(step >= 0 && total_steps >= 0 && warmup >= 0 && schedule.decay_steps >= 0,
        "[learning_rate] step {} of {} with {} of warm-up and {} of decay. Expected no negative "
        "number.",
        step, total_steps, warmup, schedule.decay_steps);
  check(schedule.end >= 0 && schedule.end <= 1,
        "[learning_rate] end is {}. Expected a part of the peak, from 0 to 1.", schedule.end);
  if (step < warmup) return ratio(step, warmup);
  switch (schedule.shape) {
    case Schedule::Shape::kConstant:
      return 1;
    case Schedule::Shape::kLinear:
      return between(schedule.end, ratio(total_steps - step, total_steps - warmup));
    case Schedule::Shape::kCosine: {
      const double progress = std::min(1.0, ratio(step - warmup, total_steps - warmup));
      return between(schedule.end, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
    }
    case Schedule::Shape::kInverseSqrt: {
      const std::int64_t scale = warmup > 0 ? warmup : kInverseSqrtSteps;
      return 1.0 / std::sqrt(ratio(step + scale - warmup, scale));
    }
    case Schedule::Shape::kWsd:
      break;
  }
  const std::int64_t decay =
      std::min(schedule.decay_steps, std::max<std::int64_t>(0, total_steps - warmup));
  if (step < total_steps - decay) return 1;
  return between(schedule.end, ratio(total_steps - step, decay));
}

double learning_rate(const Schedule& schedule, std::int64_t step, std::int64_t total_steps) {
  return schedule.lr * learning_rate_factor(schedule, step, total_steps);
}

}  // namespace heddle
