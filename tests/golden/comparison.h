// Keeps the comparison that came closest to its tolerance, or went furthest beyond it.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

#include "tests/golden/check_model.h"

namespace heddle {

class Comparison {
 public:
  // `error` is at least 0, or NaN.
  void note(const std::string& what, double error, double tolerance) {
    ++result_.values;
    const double share = std::isnan(error) ? INFINITY : error / tolerance;
    if (share < result_.share && !result_.worst.empty()) return;
    result_ = {what, error, share, result_.values};
  }

  void values(const std::string& what, std::span<const float> ours, std::span<const float> theirs,
              double tolerance) {
    double largest = ours.size() == theirs.size() ? 0 : INFINITY;
    for (size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
      const double error = std::abs(double{ours[i]} - theirs[i]);
      largest = std::isnan(error) ? INFINITY : std::max(largest, error);
    }
    note(what, largest, tolerance);
  }

  const GoldenResult& result() const { return result_; }

 private:
  GoldenResult result_;
};

}  // namespace heddle
