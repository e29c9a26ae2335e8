#include "trainer/metrics/predictions.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "framework/core/error.h"
#include "framework/core/nearest_name.h"

namespace heddle {
namespace {

constexpr std::array kProblems{Problem::kSingleLabel, Problem::kMultiLabel, Problem::kRegression};

void check_finite(std::span<const float> values, int64_t columns, std::string_view what) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      throw Error(ExitCode::kInput,
                  fmt::format("[metrics] {} of row {} is {}; metrics need finite numbers", what,
                              static_cast<int64_t>(i) / columns, values[i]),
                  "the model's output overflowed: a smaller optimizer.lr or a longer warm-up");
    }
  }
}

}  // namespace

std::string_view name_of(Problem problem) {
  switch (problem) {
    case Problem::kSingleLabel:
      return "single_label";
    case Problem::kMultiLabel:
      return "multi_label";
    case Problem::kRegression:
      return "regression";
  }
  return "unknown";
}

Problem problem_named(std::string_view name, std::string_view where) {
  std::vector<std::string> known;
  for (Problem problem : kProblems) {
    if (name_of(problem) == name) {
      return problem;
    }
    known.emplace_back(name_of(problem));
  }
  throw Error(ExitCode::kInput, fmt::format("{}unknown problem '{}'", where, name),
              did_you_mean(name, known));
}

void check_predictions(const Predictions& predictions) {
  const int64_t labels = predictions.num_labels;
  const bool single = predictions.problem == Problem::kSingleLabel;
  check(labels >= (single ? 2 : 1), "[metrics] {} labels for a {} problem. Expected at least {}.",
        labels, name_of(predictions.problem), single ? 2 : 1);
  check(static_cast<int64_t>(predictions.logits.size()) % labels == 0,
        "[metrics] {} logits for {} labels. Expected [N, {}].", predictions.logits.size(), labels,
        labels);
  check(static_cast<int64_t>(predictions.label_names.size()) == labels,
        "[metrics] {} label names for {} labels.", predictions.label_names.size(), labels);
  if (single) {
    check(static_cast<int64_t>(predictions.classes.size()) == predictions.rows(),
          "[metrics] {} classes for {} rows of logits.", predictions.classes.size(),
          predictions.rows());
    for (int64_t label : predictions.classes) {
      check(label >= 0 && label < labels, "[metrics] class {} is outside [0, {}).", label, labels);
    }
  } else {
    check(predictions.targets.size() == predictions.logits.size(),
          "[metrics] {} targets for {} logits.", predictions.targets.size(),
          predictions.logits.size());
    check_finite(predictions.targets, labels, "the target");
  }
  if (predictions.problem == Problem::kMultiLabel) {
    for (float target : predictions.targets) {
      check(target == 0 || target == 1, "[metrics] multi-label target {}. Expected 0 or 1.",
            target);
    }
  }
  check_finite(predictions.logits, labels, "a logit");
}

std::vector<double> probabilities(Problem problem, std::span<const float> logits) {
  std::vector<double> result(logits.begin(), logits.end());
  if (problem == Problem::kMultiLabel) {
    for (double& value : result) {
      value = 1 / (1 + std::exp(-value));
    }
  } else if (problem == Problem::kSingleLabel && !result.empty()) {
    const double largest = *std::max_element(result.begin(), result.end());
    double sum = 0;
    for (double& value : result) {
      value = std::exp(value - largest);
      sum += value;
    }
    for (double& value : result) {
      value /= sum;
    }
  }
  return result;
}

int64_t predicted_class(std::span<const float> logits) {
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

}  // namespace heddle
