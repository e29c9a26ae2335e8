// Rows of data files, one after another, in bounded memory: TSV, CSV, JSONL and lines of text,
// plain or compressed (byte_source.h), UTF-8 with or without byte order mark, lines ending in \n or
// \r\n.
//
//   BadRows bad;
//   auto rows = open_rows({.paths = {"part-*.tsv.gz"}}, bad);
//   const size_t text = find_column(rows->columns(), "sentence", "part-*.tsv.gz");
//   Row row;
//   while (rows->next(row)) use(row.fields[text], row.file, row.line);
//
// The formats, as they are read here:
// - TSV: a line is a row, a tab ends a field. There is no quoting and no escape: every other byte
//   stands for itself.
// - CSV: RFC 4180. A field in quotes may hold commas, line breaks and doubled quotes; a quote
//   anywhere else is an error, because what was meant is not certain.
// - JSONL: a line is one JSON object. The keys of the first one are the columns. A key that a later
//   row lacks is an empty field; one that the first row lacks is passed over, or is an error if all
//   columns are to be kept.
// - Text: a line is a row of one column, "text".
// TSV and CSV start with a header line unless told otherwise; then the columns are "0", "1" and so
// on. Blank lines at the end of TSV, CSV and JSONL files are passed over; elsewhere they are
// errors.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/bad_rows.h"
#include "datasets/byte_source.h"
#include "datasets/paths.h"

namespace heddle {

// How a field was written: characters, or JSON other than a string (42, true, null, [...], {...}).
enum class FieldKind : uint8_t { kText, kJson };

// Views stay valid until the reader's next call.
struct Row {
  std::span<const std::string_view> fields;  // one a column
  std::span<const FieldKind> kinds;          // one a column
  std::string_view file;                     // the path it came from
  int64_t line = 0;                          // where it starts, from 1
  std::string_view source;                   // as written
};

class RowReader {
 public:
  virtual ~RowReader() = default;
  // Reads one row; false behind the last. Throws RowError for a bad row more than is tolerated;
  // the reader then stands behind it and may go on.
  virtual bool next(Row& row) = 0;
  // Names of the columns, the same for all files. Empty only if the input is.
  virtual const std::vector<std::string>& columns() const = 0;
};

struct RowOptions {
  std::vector<std::string> paths = {};  // as expand_paths takes them
  bool header = true;                   // of TSV and CSV
  std::optional<Format> format = {};    // default: by ending; text for standard input
  bool keep_all_columns = false;        // JSONL: a key that the first row lacks is an error
  // Opens "-"; default: this process's own standard input.
  std::function<std::unique_ptr<ByteSource>()> standard_input = {};
};

// Opens the files one after another as the rows are taken; the first row is read here. `bad`
// outlives the reader. Throws Error (kInput) for files that are not there, and when it comes to a
// file with other columns than the first one.
std::unique_ptr<RowReader> open_rows(const RowOptions& options, BadRows& bad);

// The column of this name, or else, if `column` is a number, the column of that number from 0.
// Throws Error (kInput) "FILE: no column 'X'" with the nearest name and the list of columns.
size_t find_column(std::span<const std::string> columns, std::string_view column,
                   std::string_view file);

// The error of a column of this row: FILE:LINE: REASON: the row's start.
RowError row_error(const Row& row, std::string reason, std::string hint = "");

}  // namespace heddle
