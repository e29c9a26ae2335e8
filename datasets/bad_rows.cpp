#include "datasets/bad_rows.h"

#include "datasets/utf8.h"

namespace heddle {

RowError::RowError(std::string where, std::string reason, std::string_view source, std::string hint)
    : Error(
          ExitCode::kInput,
          fmt::format("{}: {}{}", where, reason, source.empty() ? "" : ": " + quote_start(source)),
          std::move(hint)),
      where_(std::move(where)),
      reason_(std::move(reason)) {}

void BadRows::add(const RowError& error) {
  if (static_cast<int64_t>(list_.size()) < limit_) {
    list_.push_back({error.where(), error.reason()});
    return;
  }
  if (limit_ == 0) throw error;
  throw Error(
      error.code(), error.what(),
      fmt::format("{} bad rows before it were skipped, as many as allowed; the first is {}: {}",
                  list_.size(), list_.front().where, list_.front().reason));
}

}  // namespace heddle
