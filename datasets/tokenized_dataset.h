// A data set as token ids: tokenized once into a file, memory-mapped ever after.
//
//   const TokenizedSource source{
//       .data = {.paths = {"train.tsv"}, .text = "sentence", .label = "label"},
//       .label_kind = LabelKind::kIndex, .labels = labels,
//       .make_tokenizer = row_tokenizers(tokenizer, options),
//       .tokenizer_fingerprint = tokenizer_fingerprint(*tokenizer, options),
//       .id_bound = tokenizer->id_bound()};
//   const std::string key = TokenizedDataset::key(files, source);
//   const std::string path = fmt::format("run/cache/{}.tokens", key);
//   if (rank == 0 && !TokenizedDataset::is_valid(files, path, key)) {
//     TokenizedDataset::build(files, path, key, source, pool);
//   }
//   barrier();
//   const auto data = TokenizedDataset::open(files, path, key);
//   data.add_to(packed, 17);
//
// The key is a hash of the files' contents, the tokenizer and all settings. A file with another
// key, damaged or cut short is never used: its contents are hashed whenever it is opened.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "datasets/examples.h"
#include "datasets/packing.h"
#include "datasets/row_tokenizer.h"
#include "framework/device/thread_pool.h"
#include "framework/io/file_system.h"

namespace heddle {

// Rows and what is to become of them.
struct TokenizedSource {
  DataSource data = {};
  LabelKind label_kind = LabelKind::kNone;
  LabelSet labels = {};  // of kIndex and kMultiHot
  int64_t numbers = 1;   // of kNumbers: how many a row has
  int64_t skip_bad = 0;
  MakeRowTokenizer make_tokenizer = {};
  std::string tokenizer_fingerprint = {};
  int32_t id_bound = 0;  // every id is below: up to 65,536 two bytes each, else four
};

class TokenizedDataset {
 public:
  // Reads the files through to hash them.
  static std::string key(FileSystem& files, const TokenizedSource& source);
  // Whether `path` is a whole and undamaged file of this key. Hashes it.
  static bool is_valid(FileSystem& files, const std::string& path, const std::string& key);
  // Writes the file, in memory of a few numbers a row; its folder exists. Replaces what is there
  // in one step. Throws Error for bad rows more than skip_bad and when there is no row at all.
  static void build(FileSystem& files, const std::string& path, const std::string& key,
                    const TokenizedSource& source, ThreadPool& pool);
  // Maps the file. Throws Error (kNoData) unless it is valid.
  static TokenizedDataset open(FileSystem& files, const std::string& path, const std::string& key);

  // Sequences: as many as rows, or more where long texts become several windows.
  int64_t size() const { return sequences_; }
  int64_t rows() const { return rows_; }
  int64_t row(int64_t i) const { return row_of_.empty() ? i : row_of_[static_cast<size_t>(i)]; }
  int64_t tokens() const { return static_cast<int64_t>(offsets_.back()); }
  int64_t length(int64_t i) const {
    return static_cast<int64_t>(offsets_[static_cast<size_t>(i) + 1] -
                                offsets_[static_cast<size_t>(i)]);
  }
  std::vector<int32_t> ids(int64_t i) const;
  // The first token of the second text; length(i) without one.
  int64_t pair_begin(int64_t i) const { return pair_begins_[static_cast<size_t>(i)]; }
  // Adds sequence i to a batch, as sample i.
  void add_to(PackedSequences& batch, int64_t i) const;

  LabelKind label_kind() const { return label_kind_; }
  int64_t label_width() const { return label_width_; }  // numbers a row; 1 for kIndex
  // The label of sequence i's row: of kIndex, and of the other kinds.
  int32_t label_index(int64_t i) const { return indices_[static_cast<size_t>(row(i))]; }
  std::span<const float> label_values(int64_t i) const;

  // The rows that were skipped when the file was built.
  const std::vector<BadRow>& bad_rows() const { return bad_rows_; }

 private:
  TokenizedDataset() = default;
  void copy_ids(int64_t i, std::span<int32_t> out) const;

  std::unique_ptr<Mapping> mapping_;
  int64_t sequences_ = 0;
  int64_t rows_ = 0;
  LabelKind label_kind_ = LabelKind::kNone;
  int64_t label_width_ = 0;
  std::span<const uint16_t> narrow_ids_;  // one of the two is empty
  std::span<const int32_t> wide_ids_;
  std::span<const uint64_t> offsets_;  // [sequences + 1]
  std::span<const int32_t> pair_begins_;
  std::span<const int64_t> row_of_;  // empty if each row is one sequence
  std::span<const int32_t> indices_;
  std::span<const float> values_;
  std::vector<BadRow> bad_rows_;
};

}  // namespace heddle
