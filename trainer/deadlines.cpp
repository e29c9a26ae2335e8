#include "trainer/deadlines.h"

#include <algorithm>

namespace heddle {
namespace {

constexpr size_t kRecent = 101;
constexpr double kPatience = 20;  // times what is usual
constexpr double kLeastStep = 60;
constexpr double kSlowDisk = 20e6;  // bytes a second

Deadlines::Limit limit(double seconds) {
  return Deadlines::Limit(static_cast<int64_t>(seconds * 1000));
}

double seconds(Deadlines::Limit limit) {
  return static_cast<double>(limit.count()) / 1000;
}

}  // namespace

void Deadlines::add_step(double seconds) {
  recent_.push_back(seconds);
  if (recent_.size() > kRecent) recent_.erase(recent_.begin());
}

double Deadlines::median() const {
  if (recent_.empty()) return 0;
  std::vector<double> sorted = recent_;
  const auto middle = sorted.begin() + static_cast<int64_t>(sorted.size() / 2);
  std::ranges::nth_element(sorted, middle);
  return *middle;
}

Deadlines::Limit Deadlines::start() const {
  return limit(config_.start.seconds);
}

Deadlines::Limit Deadlines::step() const {
  if (recent_.empty()) return start();
  if (config_.step) return limit(config_.step->seconds);
  return limit(std::max(kLeastStep, kPatience * median()));
}

Deadlines::Limit Deadlines::checkpoint(int64_t bytes) const {
  return limit(seconds(step()) + static_cast<double>(bytes) / kSlowDisk);
}

Deadlines::Limit Deadlines::evaluation(int64_t rows, double rows_per_step) const {
  const double steps = static_cast<double>(rows) / std::max(1.0, rows_per_step);
  return limit(seconds(step()) + kPatience * median() * steps);
}

}  // namespace heddle
