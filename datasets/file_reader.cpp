#include "datasets/file_reader.h"

#include <algorithm>

#include "datasets/utf8.h"

namespace heddle {

bool FileReader::take_line(std::string_view& line) {
  if (holds_) {
    holds_ = false;
    line = held_;
    return true;
  }
  while (true) {
    const RowBuffer::Line found = buffer_.next_line(line);
    if (found == RowBuffer::Line::kEnd) return false;
    line_ = next_line_++;
    if (found == RowBuffer::Line::kTooLong) {
      blank_line_ = 0;
      throw error(line, fmt::format("the row has more than {} MiB", kMaxRowBytes >> 20));
    }
    if (!line.empty()) break;
    note_blank_line();
  }
  held_ = line;
  holds_ = true;  // in case the next line throws
  require_no_blank_line();
  holds_ = false;
  return true;
}

void FileReader::require_no_blank_line() {
  if (blank_line_ == 0) [[likely]]
    return;
  const std::string where = fmt::format("{}:{}", path_, std::exchange(blank_line_, 0));
  throw RowError(where, "a blank line", "",
                 "take it out; only at the end of a file it does no harm");
}

void FileReader::require_text(std::string_view source) const {
  const size_t bad = find_bad_byte(source);
  if (bad == std::string_view::npos) [[likely]]
    return;
  if (source[bad] == '\0') {
    throw error_at(source, bad, "a NUL byte",
                   "the file is damaged, binary, or UTF-16; save it as UTF-8");
  }
  throw error_at(source, bad,
                 fmt::format("invalid UTF-8 (byte 0x{:02x})", static_cast<uint8_t>(source[bad])),
                 "save the file as UTF-8, for instance by: iconv -f latin1 -t utf-8");
}

RowError FileReader::error_at(std::string_view source, size_t offset, std::string reason,
                              std::string hint) const {
  const std::string_view before = source.substr(0, offset);
  const int64_t line = line_ + std::count(before.begin(), before.end(), '\n');
  const size_t column = count_characters(before.substr(before.rfind('\n') + 1)) + 1;
  return RowError(fmt::format("{}:{}:{}", path_, line, column), std::move(reason), source,
                  std::move(hint));
}

RowError FileReader::error(std::string_view source, std::string reason, std::string hint) const {
  return RowError(fmt::format("{}:{}", path_, line_), std::move(reason), source, std::move(hint));
}

void FileReader::name_columns(std::span<const std::string_view> header) {
  columns_.assign(header.begin(), header.end());
  std::vector<std::string> sorted = columns_;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    throw Error(ExitCode::kInput,
                fmt::format("{}:{}: two columns are named '{}'", path_, line_, *twice),
                "a file without a header line is read with --no-header, in a config header: false");
  }
}

void FileReader::number_columns(size_t count) {
  for (size_t i = 0; i < count; ++i) columns_.push_back(std::to_string(i));
}

void FileReader::set_row(Row& row, std::string_view source) {
  if (fields_.size() != columns_.size()) [[unlikely]] {
    throw error(source, fmt::format("{} column{}. Expected {}", fields_.size(),
                                    fields_.size() == 1 ? "" : "s", columns_.size()));
  }
  if (kinds_.size() != columns_.size()) kinds_.assign(columns_.size(), FieldKind::kText);
  row.fields = fields_;
  row.kinds = kinds_;
  row.file = path_;
  row.line = line_;
  row.source = source;
}

}  // namespace heddle
