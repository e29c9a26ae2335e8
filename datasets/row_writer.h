// Rows to a file: TSV, CSV or JSONL by the ending, whole or not there at all, and resumable.
//
//   RowWriter out(files, "scores.tsv", {"sentence", "label", "score"}, {.resume = true});
//   skip(input, out.rows());                    // rows that an earlier run has written
//   for (...) {
//     out.text(sentence);                       // one call a column, in order
//     out.text("positive");
//     out.number(0.98f);
//     out.end_row();
//   }
//   out.finish();                               // until here the file is scores.tsv.part
//
// A symbolic link stays one: its target is written. Nobody else can write the file at the same
// time. Numbers are written in the shortest form that reads back as the same float. What a format
// cannot hold: in TSV a tab or a line break becomes a space; null is an empty field in TSV and CSV;
// a number that is not finite is null in JSONL.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/output_job.h"
#include "datasets/row_reader.h"
#include "framework/io/file_system.h"

namespace heddle {

struct RowWriterOptions {
  // Go on behind the whole rows of PATH.part; a row torn at its end is cut off. Else begin anew.
  bool resume = false;
  // What the file is of, kept beside it (output_job.h): only the same job may be resumed. Without
  // parts nothing is kept, and nothing compared.
  OutputJob job = {};
  std::optional<Format> format = {};  // default: by ending; TSV for standard output
};

class RowWriter {
 public:
  // "-" is standard output. Throws Error: kInput for an ending that is none of the three, a
  // compressed one, when PATH.part has other columns, is of another job, or has a writer already;
  // kIo if it cannot be written.
  RowWriter(FileSystem& files, const std::string& path, std::vector<std::string> columns,
            const RowWriterOptions& options = {});
  RowWriter(RowWriter&&) = default;

  // Whole rows so far, with those found when resuming.
  int64_t rows() const { return rows_; }
  // When resuming: PATH is there and PATH.part is not, so an earlier run has finished. Nothing more
  // may be written.
  bool was_finished() const { return was_finished_; }

  void text(std::string_view value);
  void json(std::string_view value);  // JSON as it stands, such as 42 or [1, 2]
  void number(float value);
  void integer(int64_t value);
  // The fields of a row that was read, each as it was written there.
  void fields(const Row& row);
  // Throws std::invalid_argument unless each column has had its value.
  void end_row();

  // Hands what is buffered to the file system: a killed process loses no row before this.
  void flush();
  // Writes the rest out, to the disk, and gives the file its name.
  void finish();

 private:
  void begin_field();
  void open_part(const std::string& header);
  void resume_part(const std::string& header);
  bool is_finished() const;
  void write_out(std::string_view bytes);

  FileSystem& files_;
  std::string path_;
  std::string part_;
  std::vector<std::string> columns_;
  std::vector<std::string> prefixes_;  // what comes before each column's value
  Format format_;
  RowWriterOptions options_;
  std::unique_ptr<File> file_;  // none for standard output
  uint64_t position_ = 0;
  std::string buffer_;
  size_t column_ = 0;
  int64_t rows_ = 0;
  bool was_finished_ = false;
};

// `input` and behind it `added`, each of which is called "predicted_NAME" where an input column has
// its name.
std::vector<std::string> output_columns(std::vector<std::string> input,
                                        const std::vector<std::string>& added);

}  // namespace heddle
