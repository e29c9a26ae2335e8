// The rows of one file; one class a format, joined to a RowReader by row_reader.cpp.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/row_buffer.h"
#include "datasets/row_reader.h"

namespace heddle {

class FileReader {
 public:
  FileReader(std::string path, std::unique_ptr<ByteSource> source)
      : path_(std::move(path)), buffer_(std::move(source)) {}
  virtual ~FileReader() = default;

  // As RowReader::next, but throws RowError for every bad row.
  virtual bool next(Row& row) = 0;
  // Known after the first `next`; with a header from the start.
  const std::vector<std::string>& columns() const { return columns_; }

 protected:
  // Takes the next line that is not blank into `line`; false at the end of the file. line_ is its
  // number. Throws RowError for a line too long, and for a blank line that is not at the end.
  bool take_line(std::string_view& line);
  // Notes that line_ is blank; the next row tells by `require_no_blank_line` if one follows.
  void note_blank_line() { blank_line_ = blank_line_ == 0 ? line_ : blank_line_; }
  void require_no_blank_line();
  // Throws RowError if `source`, which starts at line_, is not UTF-8 or holds a NUL.
  void require_text(std::string_view source) const;
  // The error of the byte at `offset` of `source`, which starts at line_.
  RowError error_at(std::string_view source, size_t offset, std::string reason,
                    std::string hint = "") const;
  RowError error(std::string_view source, std::string reason, std::string hint = "") const;
  // Names the columns as the header does or, if there is none, by numbers. Throws Error if two
  // have one name.
  void name_columns(std::span<const std::string_view> header);
  void number_columns(size_t count);
  // Fills `row`; throws RowError unless there is one field a column.
  void set_row(Row& row, std::string_view source);

  std::string path_;
  RowBuffer buffer_;
  int64_t line_ = 0;       // of the row at hand
  int64_t next_line_ = 1;  // of the first unread byte
  std::vector<std::string> columns_;
  std::vector<std::string_view> fields_;
  std::vector<FieldKind> kinds_;

 private:
  int64_t blank_line_ = 0;  // the first of the blank lines just passed, 0 if none
  std::string_view held_;   // a line that waits until the blank line before it is reported
  bool holds_ = false;
};

std::unique_ptr<FileReader> read_text(std::string path, std::unique_ptr<ByteSource> source);
std::unique_ptr<FileReader> read_tsv(std::string path, std::unique_ptr<ByteSource> source,
                                     bool header);
std::unique_ptr<FileReader> read_csv(std::string path, std::unique_ptr<ByteSource> source,
                                     bool header);
// `columns`: those of the files before; empty for the first file. `strict`: no other keys.
std::unique_ptr<FileReader> read_jsonl(std::string path, std::unique_ptr<ByteSource> source,
                                       std::vector<std::string> columns, bool strict);

}  // namespace heddle
