#include "trainer/config/metric_names.h"

#include <algorithm>

#include "trainer/metrics/metrics.h"

namespace heddle {

std::vector<std::string> metric_names_of(std::string_view problem) {
  std::vector<std::string> names;
  for (const Metric& metric : metrics_of(problem_named(problem))) names.emplace_back(metric.name);
  return names;
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const char* problem : {"single_label", "multi_label", "regression"}) {
    for (const std::string& name : metric_names_of(problem)) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

}  // namespace heddle
