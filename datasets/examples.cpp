#include "datasets/examples.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_set>

#include "framework/core/error.h"

namespace heddle {
namespace {

RowOptions row_options(const DataSource& source) {
  RowOptions options{.paths = source.paths,
                     .header = source.header,
                     .format = source.format,
                     .keep_all_columns = source.keep_all_columns,
                     .standard_input = source.standard_input};
  const bool standard_input = source.paths == std::vector<std::string>{"-"};
  if (standard_input && !options.format && !source.text.empty()) options.format = Format::kTsv;
  return options;
}

size_t default_text_column(const std::vector<std::string>& columns, const std::string& file) {
  const auto named = std::find(columns.begin(), columns.end(), "text");
  if (named != columns.end()) return static_cast<size_t>(named - columns.begin());
  if (columns.size() == 1) return 0;
  throw Error(ExitCode::kInput, fmt::format("{}: which column is the text?", file),
              fmt::format("name it: --text NAME, in a config text: NAME; columns: {}",
                          fmt::join(columns, ", ")));
}

std::string_view take_text(const Row& row, size_t column, std::string_view name) {
  const std::string_view text = row.fields[column];
  if (row.kinds[column] == FieldKind::kJson) [[unlikely]] {
    if (text.starts_with('[') || text.starts_with('{')) {
      throw row_error(row, fmt::format("'{}' is not a string", name));
    }
    if (text == "null") throw row_error(row, fmt::format("empty text in '{}'", name));
  }
  if (text.empty() || (text.front() <= ' ' && trim(text).empty())) [[unlikely]] {
    throw row_error(row, fmt::format("empty text in '{}'", name));
  }
  return text;
}

bool is_decimal(const std::string& name) {
  double value = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
  return error == std::errc() && end == name.data() + name.size() && std::isfinite(value);
}

}  // namespace

ExampleReader::ExampleReader(const DataSource& source, BadRows& bad)
    : bad_(bad), rows_(open_rows(row_options(source), bad)) {
  const std::vector<std::string>& columns = rows_->columns();
  if (columns.empty()) return;  // an empty file has no row either
  const std::string& file = source.paths.front();
  text_ = source.text.empty() ? default_text_column(columns, file)
                              : find_column(columns, source.text, file);
  if (!source.pair.empty()) pair_ = find_column(columns, source.pair, file);
  if (!source.label.empty()) label_ = find_column(columns, source.label, file);
}

bool ExampleReader::next(Example& example) {
  while (rows_->next(example.row)) {
    try {
      example.text = take_text(example.row, text_, columns()[text_]);
      example.pair = pair_ ? take_text(example.row, *pair_, columns()[*pair_]) : "";
      return true;
    } catch (const RowError& error) {
      bad_.add(error);
    }
  }
  return false;
}

LabelSurvey survey_labels(const DataSource& source, BadRows& bad, LabelKind kind) {
  constexpr size_t kMost = 10'000;
  if (source.label.empty()) {
    throw Error(ExitCode::kInput, "the data name no label column", "name it (label: NAME)");
  }
  ExampleReader examples(source, bad);
  std::unordered_set<std::string> names;
  LabelSurvey survey;
  bool lists = false, decimals = true, whole = true;
  for (Example example; examples.next(example); ++survey.rows) {
    const size_t column = *examples.label_column();
    std::vector<std::string> found;
    if (kind == LabelKind::kIndex) {
      found.emplace_back(label_name(example.row, column));
      if (found[0].empty()) found.clear();  // an error where labels are used
    } else {
      try {
        found = label_names(example.row, column);
      } catch (const RowError& error) {
        bad.add(error);
        continue;
      }
      lists = lists || found.size() > 1 || trim(example.row.fields[column]).starts_with('[');
    }
    for (std::string& name : found) {
      const auto [it, is_new] = names.insert(std::move(name));
      if (!is_new) continue;
      const bool decimal = is_decimal(*it);
      decimals = decimals && decimal;
      whole = whole && decimal && it->find_first_of(".eE") == std::string::npos;
      if (names.size() > kMost && !decimals) {
        throw Error(ExitCode::kInput,
                    fmt::format("{}: the column '{}' has more than {} different values",
                                source.paths.front(), source.label, kMost),
                    "is it the label? If so, list the labels (labels: [...])");
      }
    }
  }
  survey.names.assign(names.begin(), names.end());
  sort_label_names(survey.names);
  survey.kind = kind != LabelKind::kNone ? kind
                : decimals && !whole     ? LabelKind::kNumbers
                : lists                  ? LabelKind::kMultiHot
                                         : LabelKind::kIndex;
  return survey;
}

}  // namespace heddle
