#include "datasets/labels.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "datasets/json_line.h"
#include "framework/core/error.h"
#include "framework/core/nearest_name.h"

namespace heddle {
namespace {

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

RowError unknown_label(const Row& row, std::string_view name, const LabelSet& labels) {
  return row_error(row, fmt::format("unknown label '{}'", name), labels.hint_for(name));
}

}  // namespace

std::string_view trim(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

LabelSet::LabelSet(std::vector<std::string> names) : names_(std::move(names)) {
  generic_ = !names_.empty();
  for (size_t i = 0; i < names_.size(); ++i) {
    if (names_[i].empty()) {
      throw Error(ExitCode::kInput, fmt::format("label {} has no name", i));
    }
    if (!indices_.emplace(names_[i], static_cast<int32_t>(i)).second) {
      throw Error(ExitCode::kInput, fmt::format("two labels are named '{}'", names_[i]));
    }
    generic_ = generic_ && names_[i] == fmt::format("LABEL_{}", i);
  }
}

std::optional<int32_t> LabelSet::find(std::string_view name) const {
  if (const auto found = indices_.find(name); found != indices_.end()) return found->second;
  if (!generic_) return std::nullopt;
  const std::optional<int64_t> number = whole_number(name);
  if (!number || *number < 0 || *number >= size()) return std::nullopt;
  return static_cast<int32_t>(*number);
}

int32_t LabelSet::index_of(std::string_view name) const {
  if (const std::optional<int32_t> found = find(name)) return *found;
  throw Error(ExitCode::kInput, fmt::format("unknown label '{}'", name), hint_for(name));
}

std::string LabelSet::hint_for(std::string_view name) const {
  constexpr size_t kShown = 20;
  const std::string nearest = nearest_name(name, names_);
  const std::string advice = advice_.empty() ? "" : "; " + advice_;
  if (!nearest.empty()) return fmt::format("did you mean '{}'?{}", nearest, advice);
  if (names_.size() <= kShown) {
    return fmt::format("known: {}{}", fmt::join(names_, ", "), advice);
  }
  return fmt::format("known: {}, and {} more{}", fmt::join(std::span(names_).first(kShown), ", "),
                     names_.size() - kShown, advice);
}

void sort_label_names(std::vector<std::string>& names) {
  const bool numbers = std::all_of(names.begin(), names.end(),
                                   [](const std::string& name) { return whole_number(name); });
  std::sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    if (numbers && *whole_number(a) != *whole_number(b)) return *whole_number(a) < *whole_number(b);
    return a < b;
  });
}

std::string_view label_name(const Row& row, size_t column) {
  const std::string_view field = trim(row.fields[column]);
  return row.kinds[column] == FieldKind::kJson && field == "null" ? "" : field;
}

std::vector<std::string> label_names(const Row& row, size_t column) {
  const std::string_view field = label_name(row, column);
  std::vector<std::string> names;
  if (field.starts_with('[')) {
    JsonLine array;
    if (!array.parse_array(field)) {
      throw row_error(row, fmt::format("a broken array of labels ({})", array.reason()));
    }
    for (const JsonLine::Member& member : array.members()) {
      names.emplace_back(trim(member.value));
    }
  } else {
    for (size_t start = 0; start < field.size();) {
      const size_t bar = std::min(field.find('|', start), field.size());
      names.emplace_back(trim(field.substr(start, bar - start)));
      start = bar + 1;
    }
  }
  return names;
}

int32_t parse_label_index(const Row& row, size_t column, const LabelSet& labels) {
  const std::string_view name = label_name(row, column);
  if (const std::optional<int32_t> index = labels.find(name)) [[likely]]
    return *index;
  if (name.empty()) throw row_error(row, "no label");
  throw unknown_label(row, name, labels);
}

void parse_multi_hot(const Row& row, size_t column, const LabelSet& labels, std::span<float> out) {
  check(static_cast<int64_t>(out.size()) == labels.size(),
        "[parse_multi_hot] room for {} numbers. Expected {}, one a label.", out.size(),
        labels.size());
  std::fill(out.begin(), out.end(), 0.0f);
  for (const std::string& name : label_names(row, column)) {
    const std::optional<int32_t> index = labels.find(name);
    if (!index) throw unknown_label(row, name, labels);
    out[static_cast<size_t>(*index)] = 1.0f;
  }
}

void parse_numbers(const Row& row, size_t column, std::span<float> out) {
  const std::vector<std::string> names = label_names(row, column);
  if (names.size() != out.size()) {
    throw row_error(row, fmt::format("{} numbers as label. Expected {}", names.size(), out.size()));
  }
  for (size_t i = 0; i < out.size(); ++i) {
    const char* end = names[i].data() + names[i].size();
    const auto [used, error] = std::from_chars(names[i].data(), end, out[i]);
    if (error != std::errc() || used != end || !std::isfinite(out[i])) {
      throw row_error(row, fmt::format("the label '{}' is not a finite number", names[i]),
                      "names as labels are for classification, numbers for regression");
    }
  }
}

}  // namespace heddle
