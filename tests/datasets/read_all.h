// Reads files whole, for tests that compare.
#pragma once

#include <string>
#include <vector>

#include "datasets/row_reader.h"

namespace heddle {

using Rows = std::vector<std::vector<std::string>>;

inline Rows read_all(const RowOptions& options, int64_t skip_bad = 0) {
  BadRows bad(skip_bad);
  const std::unique_ptr<RowReader> reader = open_rows(options, bad);
  Rows rows;
  for (Row row; reader->next(row);) rows.emplace_back(row.fields.begin(), row.fields.end());
  return rows;
}

inline Rows read_all(const std::string& path) {
  return read_all(RowOptions{.paths = {path}});
}

}  // namespace heddle
