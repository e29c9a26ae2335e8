#include "trainer/config/problems.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string_view>

#include "framework/core/error.h"
#include "trainer/config/values.h"

namespace heddle {

void Problems::add(const std::string& where, const std::string& what) {
  std::int64_t line = 0;
  if (where != name_) {
    const bool in_file = where.starts_with(name_ + ":");
    const std::string_view rest = std::string_view(where).substr(in_file ? name_.size() + 1 : 0);
    line = parse_integer(rest).value_or(std::numeric_limits<std::int64_t>::max());
  }
  found_.emplace_back(line, fmt::format("{}: {}", where, what));
}

void Problems::add_at(std::string path, const std::string& what) {
  while (true) {
    const auto place = places_.find(path);
    if (place != places_.end()) return add(place->second, what);
    const size_t dot = path.rfind('.');
    if (dot == std::string::npos) return add(name_, what);
    path.resize(dot);
  }
}

void Problems::throw_if_any() const {
  if (found_.empty()) return;
  auto sorted = found_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string text;
  for (const auto& [line, what] : sorted) text += (text.empty() ? "" : "\n") + what;
  throw Error(ExitCode::kInput, text,
              "'heddle config --describe' shows every key with its default and meaning");
}

}  // namespace heddle
