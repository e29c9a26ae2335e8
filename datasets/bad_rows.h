// Rows that cannot be used: an error, or, up to a limit that a person sets, skipped and listed.
//
//   BadRows bad(5);                               // --skip-bad 5; BadRows() tolerates none
//   auto rows = open_rows({.paths = {"train.tsv"}}, bad);
//   ...
//   for (const BadRow& row : bad.list()) note("{}: {}", row.where, row.reason);
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/core/error.h"

namespace heddle {

// A row that is not as it should be. what() is "WHERE: REASON: START OF THE ROW",
// the last only if the row is not empty.
class RowError : public Error {
 public:
  // `where` is FILE:LINE or FILE:LINE:COLUMN; `source` the row as written, of which a part is
  // quoted.
  RowError(std::string where, std::string reason, std::string_view source, std::string hint = "");

  const std::string& where() const { return where_; }
  const std::string& reason() const { return reason_; }

 private:
  std::string where_;
  std::string reason_;
};

struct BadRow {
  std::string where;
  std::string reason;
};

class BadRows {
 public:
  explicit BadRows(int64_t limit = 0) : limit_(limit) {}

  // Notes the row, or throws `error` if that is one more than the limit; with a limit above 0 the
  // hint then says how many were skipped before.
  void add(const RowError& error);
  int64_t limit() const { return limit_; }
  std::span<const BadRow> list() const { return list_; }

 private:
  int64_t limit_;
  std::vector<BadRow> list_;
};

}  // namespace heddle
