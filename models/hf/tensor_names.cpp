#include "models/hf/tensor_names.h"

#include <optional>

#include "framework/core/error.h"

namespace heddle {
namespace {

// Matches "a.{}.b" against the start of `name`; returns the number that stands for {} ("" if the
// pattern has none) and what is left of the name.
struct Match {
  std::string number;
  std::string rest;
};

std::optional<Match> match(std::string_view pattern, std::string_view name) {
  Match found;
  const size_t hole = pattern.find("{}");
  const std::string_view before = pattern.substr(0, hole);
  if (!name.starts_with(before)) return {};
  name.remove_prefix(before.size());
  if (hole != std::string_view::npos) {
    const size_t digits = name.find_first_not_of("0123456789");
    if (digits == 0 || digits == std::string_view::npos) return {};
    found.number = name.substr(0, digits);
    name.remove_prefix(digits);
    const std::string_view after = pattern.substr(hole + 2);
    if (!name.starts_with(after)) return {};
    name.remove_prefix(after.size());
  }
  if (!name.empty() && name.front() != '.') return {};
  found.rest = name;
  return found;
}

}  // namespace

std::vector<std::string> their_names(const Family& family, std::string_view ours) {
  for (const TensorRule& rule : family.tensors) {
    const std::optional<Match> found = match(rule.ours, ours);
    if (!found) continue;
    std::vector<std::string> names;
    for (std::string name : rule.theirs) {
      const size_t hole = name.find("{}");
      if (hole != std::string::npos) name.replace(hole, 2, found->number);
      names.push_back(name + found->rest);
    }
    return names;
  }
  throw std::invalid_argument(
      fmt::format("[hf] the table of '{}' has no rule for '{}'.", family.model_type, ours));
}

bool is_head(std::string_view ours) {
  return ours.starts_with("head.");
}

std::string full_name(const Family& family, std::string_view theirs) {
  const bool beside = theirs.starts_with("classifier") || theirs.starts_with("pre_classifier");
  return beside ? std::string(theirs) : family.prefix + std::string(theirs);
}

}  // namespace heddle
