// Which precision a job takes when nobody says one, and what to say of one that was a bad idea.
//
// Without a measurement it is what the processor is fast at. With one (precision_trial.h), the
// fastest of those that change at most a given share of the answers:
//
//   const Precision taken = choose_precision(measured, 0.001);
//   session.note(explain_choice(measured, 0.001));
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/core/precision.h"
#include "framework/io/json.h"
#include "models/problem.h"

namespace heddle {

// fastest_safe_precision() of the slowest rank, on all of them. Collective.
Precision fastest_safe_precision(Communicator& world);

// What to warn of where this processor has no fast products of `precision`; else nothing.
std::optional<std::string> slow_precision(Precision precision);

// The default of --max-flips.
constexpr double kMostFlips = 0.001;

// One precision on the sample.
struct PrecisionMeasurement {
  Precision precision = Precision::kF32;
  double seconds = 0;             // that the model takes for the sample
  int64_t flips = 0;              // rows whose label, or set of labels, is not that of f32
  double largest_difference = 0;  // of an output from f32; infinite if it is no number
  // The same, relative to the spread in f32 of that output over the sample: largest less smallest.
  double relative_difference = 0;
  std::optional<double> metric;  // of the labels that the rows have
};

struct MeasuredPrecisions {
  Problem problem = Problem::kSingleLabel;
  int64_t rows = 0, tokens = 0;
  std::string metric;                            // its name
  std::vector<PrecisionMeasurement> precisions;  // f32 first
  std::vector<std::string> notes;                // what was left out, and why

  // The share of answers that a precision changes: of rows whose label flips; for a regression,
  // whose answers are no labels, the relative difference.
  double change(const PrecisionMeasurement& of) const;
};

// The fastest whose change() is at most `limit`. f32 always qualifies.
Precision choose_precision(const MeasuredPrecisions& measured, double limit);

// One line: what choose_precision() takes, and why.
std::string explain_choice(const MeasuredPrecisions& measured, double limit);

// One line a precision, notes, and the choice on the last line.
std::string precision_table(const MeasuredPrecisions& measured, double limit);
Json to_json(const MeasuredPrecisions& measured, double limit);

}  // namespace heddle
