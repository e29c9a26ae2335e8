// The metrics that a config may name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace heddle {

// The names of all metrics of all problems, each once.
std::vector<std::string> metric_names();

// Those of one problem: "single_label", "multi_label" or "regression".
std::vector<std::string> metric_names_of(std::string_view problem);

}  // namespace heddle
