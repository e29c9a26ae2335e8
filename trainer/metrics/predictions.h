// What a metric is computed from: one row of logits and one label for every row of a data set.
//
//   Predictions dev{.problem = Problem::kSingleLabel, .num_labels = 2, .logits = logits,
//                   .classes = labels, .label_names = names};
//   fmt::print("{}", metrics_table(evaluate(dev)));
//
// A trainer on several ranks gathers its rows first, in the order of the data set; a metric then is
// exact by construction, and no row counts twice.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/problem.h"

namespace heddle {

// "single_label", "multi_label", "regression": the words of the YAML.
std::string_view name_of(Problem problem);

// The problem of that name. Throws Error (input) if there is none; `where` opens its message, such
// as "test.json: ".
Problem problem_named(std::string_view name, std::string_view where = "");

struct Predictions {
  Problem problem = Problem::kSingleLabel;
  int64_t num_labels = 0;                 // L; for regression the number of outputs
  std::span<const float> logits = {};     // [N, L]
  std::span<const int64_t> classes = {};  // [N], single label only
  std::span<const float> targets = {};    // [N, L], multi label: 0 or 1; regression: any number
  std::span<const std::string> label_names = {};  // [L]

  int64_t rows() const {
    return num_labels > 0 ? static_cast<int64_t>(logits.size()) / num_labels : 0;
  }
};

// Throws std::invalid_argument if the sizes do not fit together, if a class is not in [0, L) or if
// a multi-label target is neither 0 nor 1, and Error if a logit or a target is not finite.
void check_predictions(const Predictions& predictions);

// The probabilities of one row, computed in double: softmax for a single label, a sigmoid each for
// several; for regression the outputs as they are.
std::vector<double> probabilities(Problem problem, std::span<const float> logits);

// The label of the largest logit; the first one of equals.
int64_t predicted_class(std::span<const float> logits);

// Whether a label of a multi-label problem is predicted: its probability is above one half.
inline bool predicted_on(float logit) {
  return logit > 0;
}

}  // namespace heddle
