// How long what a run does may take before its watchdog ends the job.
//
//   Deadlines deadlines(config.watchdog);
//   watchdog.beat("step", deadlines.step());
//   deadlines.add_step(seconds);
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "trainer/config/schema.h"

namespace heddle {

class Deadlines {
 public:
  using Limit = std::chrono::milliseconds;

  explicit Deadlines(const WatchdogConfig& config) : config_(config) {}

  void add_step(double seconds);

  // Until the first step is done.
  Limit start() const;
  // watchdog.step; by itself 20 times the median of the last steps and at least a minute; before
  // there are any, as long as the start.
  Limit step() const;
  // A step's, and at least 20 MB/s.
  Limit checkpoint(int64_t bytes) const;
  // A step's, and 20 times what as many rows of training take.
  Limit evaluation(int64_t rows, double rows_per_step) const;

 private:
  double median() const;

  WatchdogConfig config_;
  std::vector<double> recent_;  // seconds of the last steps
};

}  // namespace heddle
