// Labelled text out of data files: which columns hold the text, its pair and the label.
//
//   BadRows bad;
//   ExampleReader examples({.paths = {"train.tsv"}, .text = "sentence", .label = "label"}, bad);
//   Example example;
//   while (examples.next(example)) use(example.text, parse_label_index(example.row, ...));
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/labels.h"
#include "datasets/row_reader.h"

namespace heddle {

// Files and the columns to take, by name or by number from 0.
struct DataSource {
  std::vector<std::string> paths = {};  // files and patterns; "-" is standard input
  std::string text = {};                // "": the column "text", or else the only one
  std::string pair = {};                // "": none
  std::string label = {};               // "": none
  bool header = true;                   // whether TSV and CSV start with one
  std::optional<Format> format =
      {};                         // default: by ending; standard input is TSV if `text` is given
  bool keep_all_columns = false;  // as RowOptions has it
  std::function<std::unique_ptr<ByteSource>()> standard_input = {};  // as RowOptions has it
};

// Views stay valid until the reader's next call.
struct Example {
  std::string_view text;
  std::string_view pair;  // "" if the source has none
  Row row;
};

class ExampleReader {
 public:
  // `bad` outlives the reader. Throws Error (kInput) for files and columns that are not there.
  ExampleReader(const DataSource& source, BadRows& bad);

  // Throws RowError for a bad row more than is tolerated; text or pair without any letter are bad.
  bool next(Example& example);
  const std::vector<std::string>& columns() const { return rows_->columns(); }
  bool has_pair() const { return pair_.has_value(); }
  // The number of the label's column; nothing if the source names none.
  std::optional<size_t> label_column() const { return label_; }

 private:
  BadRows& bad_;
  std::unique_ptr<RowReader> rows_;
  size_t text_ = 0;
  std::optional<size_t> pair_;
  std::optional<size_t> label_;
};

// What the label column of a file holds.
struct LabelSurvey {
  std::vector<std::string> names;     // each name once, sorted as labels are numbered
  LabelKind kind = LabelKind::kNone;  // numbers if a decimal is among them, multi-hot if a list is
  int64_t rows = 0;
};

// Reads the source through. `kind`: what the labels are known to be, if they are; a "|" in a name
// is then part of it where one label is. Throws Error (kInput) if it names no label, and if there
// are more than 10,000 different ones that are not numbers: then the column is hardly a label.
LabelSurvey survey_labels(const DataSource& source, BadRows& bad,
                          LabelKind kind = LabelKind::kNone);

}  // namespace heddle
