// The tables of metrics, one a file: to add a metric, write its function and its line in one of
// them.
#pragma once

#include <span>
#include <vector>

#include "trainer/metrics/counts.h"
#include "trainer/metrics/metrics.h"

namespace heddle {

std::span<const Metric> single_label_metrics();  // classification.cpp
std::span<const Metric> multi_label_metrics();   // classification.cpp
std::span<const Metric> regression_metrics();    // regression.cpp

// The reliability diagram that `calibration_error` sums up; single label only.
std::vector<CalibrationBin> calibration_bins(const Counts& counts);

}  // namespace heddle
