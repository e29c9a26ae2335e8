// Rows of a file, tokenized, a window of some thousands at a time.
//
//   RowWindows windows(examples, row_tokenizers(tokenizer, options)());
//   while (windows.next()) {
//     SequenceSource source = windows.sequences();
//     …
//     for (int64_t r = 0; r < windows.rows(); ++r) use(windows.row(r));
//   }
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "datasets/examples.h"
#include "datasets/row_tokenizer.h"
#include "trainer/sequence_logits.h"

namespace heddle {

class RowWindows {
 public:
  static constexpr int64_t kRows = 8192;

  // `examples` and `bad` outlive this; a row that cannot be tokenized is bad.
  RowWindows(ExampleReader& examples, RowTokenizer tokenizer, BadRows& bad);

  // Passes over so many rows, bad ones not counted; before the first next(). Returns how many there
  // were.
  int64_t skip(int64_t count);
  // Reads the next rows, at most so many; false if there are none left.
  bool next(int64_t most = kRows);

  int64_t rows() const { return static_cast<int64_t>(sequence_begin_.size()) - 1; }
  // Its fields as they were read; valid until the next call of row() or next().
  const Row& row(int64_t r);
  // The sequences of the window: one a row, or several where a long text became windows.
  SequenceSource sequences() const;
  // The sequences of row r: [first, second).
  std::pair<int64_t, int64_t> sequences_of(int64_t r) const {
    return {sequence_begin_[static_cast<size_t>(r)], sequence_begin_[static_cast<size_t>(r) + 1]};
  }
  // `outputs` [sequences, width] as one row each: the mean over a row's sequences.
  std::vector<float> mean_by_row(const std::vector<float>& outputs, int64_t width) const;

 private:
  std::optional<Row> next_row();
  void keep(const Row& row);

  ExampleReader& examples_;
  RowTokenizer tokenizer_;
  BadRows& bad_;
  int64_t first_ = 0;
  TokenWindows tokens_;
  std::vector<int64_t> sequence_begin_;  // [rows + 1]

  // The fields' text one after another, and where each ends.
  std::string text_;
  std::vector<size_t> field_ends_;
  std::vector<FieldKind> kinds_;
  std::vector<std::string> files_;  // of the window's rows, in order
  std::vector<size_t> file_of_;     // of each row, in files_
  std::vector<int64_t> lines_;
  size_t columns_ = 0;
  std::vector<std::string_view> fields_;
  Row row_;
};

// What a classifier says of rows, one after another: the one way in which files are predicted and
// evaluated.
struct RowLogits {
  const Classifier& model;
  const Device& device;
  const Mesh& mesh;
  // On rank 0: a row and its logits [outputs], in input order; and the end of each window.
  std::function<void(const Row& row, std::span<const float> logits)> on_row;
  std::function<void()> on_window;

  // Collective. Returns how many rows there were, on all ranks. Throws Error(kNoData) for a row
  // whose logits are not finite.
  int64_t run(RowWindows& windows) const;
};

}  // namespace heddle
