#include "trainer/row_windows.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "framework/device/profile.h"

namespace heddle {
namespace {

constexpr size_t kBytes = size_t{16} << 20;

}  // namespace

RowWindows::RowWindows(ExampleReader& examples, RowTokenizer tokenizer, BadRows& bad)
    : examples_(examples), tokenizer_(std::move(tokenizer)), bad_(bad) {
  sequence_begin_ = {0};
}

bool RowWindows::next(int64_t most) {
  const ProfiledStage span("read and tokenize rows");
  first_ += rows();
  tokens_.clear();
  sequence_begin_ = {0};
  text_.clear();
  field_ends_.clear();
  kinds_.clear();
  lines_.clear();
  files_.clear();
  file_of_.clear();
  while (rows() < most && text_.size() < kBytes) {
    const std::optional<Row> row = next_row();
    if (!row) break;
    keep(*row);
    sequence_begin_.push_back(tokens_.count());
  }
  return rows() > 0;
}

int64_t RowWindows::skip(int64_t count) {
  int64_t skipped = 0;
  while (skipped < count && next_row()) {
    ++skipped;
    tokens_.clear();
  }
  first_ += skipped;
  return skipped;
}

// The next row that can be tokenized, its sequences added to tokens_.
std::optional<Row> RowWindows::next_row() {
  Example example;
  while (examples_.next(example)) {
    try {
      tokenizer_(example.text, examples_.has_pair() ? std::optional(example.pair) : std::nullopt,
                 tokens_);
      return example.row;
    } catch (const Error& error) {
      bad_.add(row_error(example.row, error.what()));
    }
  }
  return {};
}

void RowWindows::keep(const Row& row) {
  columns_ = row.fields.size();
  for (size_t c = 0; c < columns_; ++c) {
    text_ += row.fields[c];
    field_ends_.push_back(text_.size());
    kinds_.push_back(row.kinds[c]);
  }
  lines_.push_back(row.line);
  if (files_.empty() || files_.back() != row.file) files_.emplace_back(row.file);
  file_of_.push_back(files_.size() - 1);
}

const Row& RowWindows::row(int64_t r) {
  fields_.clear();
  const size_t first = static_cast<size_t>(r) * columns_;
  size_t begin = first == 0 ? 0 : field_ends_[first - 1];
  for (size_t c = 0; c < columns_; ++c) {
    const size_t end = field_ends_[first + c];
    fields_.push_back(std::string_view(text_).substr(begin, end - begin));
    begin = end;
  }
  row_ = {.fields = fields_,
          .kinds = std::span(kinds_).subspan(first, columns_),
          .file = files_[file_of_[static_cast<size_t>(r)]],
          .line = lines_[static_cast<size_t>(r)],
          .source = {}};
  return row_;
}

SequenceSource RowWindows::sequences() const {
  return {.count = tokens_.count(),
          .length = [this](int64_t i) { return static_cast<int64_t>(tokens_.window(i).size()); },
          .add_to =
              [this](PackedSequences& packed, int64_t i) {
                packed.add(tokens_.window(i), tokens_.pair_begins[static_cast<size_t>(i)],
                           first_ + i);
              }};
}

std::vector<float> RowWindows::mean_by_row(const std::vector<float>& outputs, int64_t width) const {
  std::vector<float> means;
  means.reserve(static_cast<size_t>(rows() * width));
  for (int64_t r = 0; r < rows(); ++r) {
    const auto [begin, end] = sequences_of(r);
    for (int64_t c = 0; c < width; ++c) {
      double sum = 0;
      for (int64_t s = begin; s < end; ++s) sum += outputs[static_cast<size_t>(s * width + c)];
      means.push_back(static_cast<float>(sum / static_cast<double>(end - begin)));
    }
  }
  return means;
}

namespace {

void require_finite(const Row& row, std::span<const float> logits) {
  if (std::ranges::all_of(logits, [](float logit) { return std::isfinite(logit); })) return;
  throw Error(ExitCode::kNoData,
              fmt::format("{}:{}: the model's answer is not a finite number", row.file, row.line),
              "a weight of the model is not finite, or far too large");
}

}  // namespace

int64_t RowLogits::run(RowWindows& windows) const {
  const int64_t width = model.head.out.weight.whole_shape()[0];
  int64_t rows = 0;
  while (windows.next()) {
    rows += windows.rows();
    const std::vector<float> outputs = sequence_logits(model, device, windows.sequences(), mesh);
    if (!mesh.is_root()) continue;
    const ProfiledStage span("write rows");
    const std::vector<float> logits = windows.mean_by_row(outputs, width);
    for (int64_t r = 0; r < windows.rows(); ++r) {
      const Row& row = windows.row(r);
      const auto of_row =
          std::span(logits).subspan(static_cast<size_t>(r * width), static_cast<size_t>(width));
      require_finite(row, of_row);
      on_row(row, of_row);
    }
    if (on_window) on_window();
  }
  return rows;
}

}  // namespace heddle
