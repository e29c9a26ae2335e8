// Builds the file of a TokenizedDataset: reads blocks of rows, tokenizes each block on all threads,
// writes the ids out and keeps the few numbers a row until the end.
#include <algorithm>
#include <cstring>

#include "datasets/token_cache.h"
#include "datasets/tokenized_dataset.h"
#include "framework/device/profile.h"
#include "framework/io/hash.h"

namespace heddle {
namespace {

constexpr size_t kBlockRows = 4096;
constexpr size_t kBlockBytes = size_t{8} << 20;

// Writes front to back behind room for the header, and hashes what it writes.
class CacheWriter {
 public:
  explicit CacheWriter(File& file) : file_(file) {}

  template <typename T>
  void write(std::span<const T> values) {
    const std::span<const std::byte> bytes = std::as_bytes(values);
    hasher_.update(bytes);
    file_.write_at(position_, bytes);
    position_ += bytes.size();
  }
  void pad() {
    constexpr std::array<std::byte, 8> kZeros{};
    write(std::span(kZeros).first(padded(position_) - position_));
  }
  void finish(CacheHeader header) {
    hasher_.update(std::as_bytes(std::span(&header, 1)));
    const std::string hash = hasher_.hex();
    std::copy(hash.begin(), hash.end(), header.hash.begin());
    file_.write_at(0, std::as_bytes(std::span(&header, 1)));
  }

 private:
  File& file_;
  uint64_t position_ = sizeof(CacheHeader);
  Hasher hasher_;
};

// A block of rows, copied out of the reader's buffer.
struct Block {
  std::string characters;
  std::vector<size_t> text_ends;
  std::vector<size_t> pair_ends;
  std::vector<std::string> files;                  // each path once, in order
  std::vector<std::pair<size_t, int64_t>> places;  // index into files, line

  size_t rows() const { return text_ends.size(); }
  std::string_view text(size_t i) const {
    const size_t begin = i == 0 ? 0 : pair_ends[i - 1];
    return std::string_view(characters).substr(begin, text_ends[i] - begin);
  }
  std::string_view pair(size_t i) const {
    return std::string_view(characters).substr(text_ends[i], pair_ends[i] - text_ends[i]);
  }
  void add(const Example& example) {
    characters += example.text;
    text_ends.push_back(characters.size());
    characters += example.pair;
    pair_ends.push_back(characters.size());
    if (files.empty() || files.back() != example.row.file) files.emplace_back(example.row.file);
    places.emplace_back(files.size() - 1, example.row.line);
  }
  void clear() { *this = Block{}; }
};

class Builder {
 public:
  Builder(File& file, const TokenizedSource& source, ThreadPool& pool)
      : source_(source), pool_(pool), writer_(file), bad_(source.skip_bad) {
    for (int i = 0; i < pool.threads(); ++i) tokenizers_.push_back(source.make_tokenizer());
    windows_.resize(tokenizers_.size());
    label_width_ = source.label_kind == LabelKind::kMultiHot  ? source.labels.size()
                   : source.label_kind == LabelKind::kNumbers ? source.numbers
                   : source.label_kind == LabelKind::kIndex   ? 1
                                                              : 0;
  }

  void run(const std::string& key) {
    ExampleReader examples(source_.data, bad_);
    Block block;
    for (Example example; examples.next(example);) {
      if (!take_label(example, examples.label_column())) continue;
      block.add(example);
      if (block.rows() == kBlockRows || block.characters.size() >= kBlockBytes) {
        tokenize(block, examples.has_pair());
        block.clear();
      }
    }
    tokenize(block, examples.has_pair());
    if (rows_ == 0) {
      throw Error(ExitCode::kInput, fmt::format("{}: has no row", source_.data.paths.front()),
                  "at least one row of data is needed");
    }
    finish(key);
  }

 private:
  bool take_label(const Example& example, std::optional<size_t> column) {
    if (source_.label_kind == LabelKind::kNone) return true;
    check(column.has_value(), "[tokenized dataset] labels without a label column");
    const size_t before = values_.size();
    try {
      if (source_.label_kind == LabelKind::kIndex) {
        indices_.push_back(parse_label_index(example.row, *column, source_.labels));
        return true;
      }
      values_.resize(before + static_cast<size_t>(label_width_));
      const std::span<float> out = std::span(values_).subspan(before);
      if (source_.label_kind == LabelKind::kMultiHot) {
        parse_multi_hot(example.row, *column, source_.labels, out);
      } else {
        parse_numbers(example.row, *column, out);
      }
      return true;
    } catch (const RowError& error) {
      values_.resize(before);
      bad_.add(error);
      return false;
    }
  }

  // Each thread takes one stretch of the block.
  void tokenize(const Block& block, bool has_pair) {
    const ProfiledStage span("tokenize");
    const size_t pieces = tokenizers_.size();
    std::vector<std::vector<uint32_t>> counts(pieces);  // of windows, a row
    pool_.parallel_for(static_cast<int64_t>(pieces), [&](int64_t piece) {
      const auto p = static_cast<size_t>(piece);
      TokenWindows& windows = windows_[p];
      windows.clear();
      for (size_t i = block.rows() * p / pieces; i < block.rows() * (p + 1) / pieces; ++i) {
        const int64_t before = windows.count();
        try {
          tokenizers_[p](block.text(i), has_pair ? std::optional(block.pair(i)) : std::nullopt,
                         windows);
        } catch (const Error& error) {
          const auto& [file, line] = block.places[i];
          throw Error(error.code(), fmt::format("{}:{}: {}", block.files[file], line, error.what()),
                      error.hint());
        }
        check(windows.count() > before, "[tokenized dataset] a row without a sequence");
        counts[p].push_back(static_cast<uint32_t>(windows.count() - before));
      }
    });
    for (size_t p = 0; p < pieces; ++p) {
      for (const uint32_t count : counts[p]) {
        row_of_.insert(row_of_.end(), count, rows_);
        ++rows_;
      }
      const TokenWindows& windows = windows_[p];
      const uint64_t base = offsets_.back();
      for (int64_t i = 0; i < windows.count(); ++i) {
        offsets_.push_back(base + windows.ends[static_cast<size_t>(i)]);
        pair_begins_.push_back(static_cast<int32_t>(windows.pair_begins[static_cast<size_t>(i)]));
      }
      write_ids(windows.ids);
    }
  }

  bool narrow() const { return source_.id_bound <= 65536; }

  void write_ids(const std::vector<int32_t>& ids) {
    const auto outside = std::find_if(ids.begin(), ids.end(),
                                      [&](int32_t id) { return id < 0 || id >= source_.id_bound; });
    check(outside == ids.end(), "[tokenized dataset] the id {}. Expected one below {}.",
          outside == ids.end() ? 0 : *outside, source_.id_bound);
    if (narrow()) {
      const std::vector<uint16_t> small(ids.begin(), ids.end());
      writer_.write(std::span(small));
    } else {
      writer_.write(std::span(ids));
    }
  }

  void finish(const std::string& key) {
    writer_.pad();
    writer_.write(std::span<const uint64_t>(offsets_));
    writer_.write(std::span<const int32_t>(pair_begins_));
    writer_.pad();
    if (row_of_.size() != static_cast<size_t>(rows_)) {
      writer_.write(std::span<const int64_t>(row_of_));
    }
    writer_.write(std::span<const int32_t>(indices_));
    writer_.write(std::span<const float>(values_));
    writer_.pad();
    std::string bad;
    for (const BadRow& row : bad_.list()) {
      for (const std::string& part : {row.where, row.reason}) (bad += part) += '\0';
    }
    writer_.write(std::span<const char>(bad));
    CacheHeader header{.sequences = row_of_.size(),
                       .rows = static_cast<uint64_t>(rows_),
                       .tokens = offsets_.back(),
                       .id_bytes = narrow() ? uint64_t{2} : uint64_t{4},
                       .label_kind = static_cast<uint64_t>(source_.label_kind),
                       .label_width = static_cast<uint64_t>(label_width_),
                       .bad_bytes = bad.size()};
    check(key.size() == header.key.size(), "[tokenized dataset] a key of {} letters", key.size());
    std::copy(key.begin(), key.end(), header.key.begin());
    writer_.finish(header);
  }

  const TokenizedSource& source_;
  ThreadPool& pool_;
  CacheWriter writer_;
  BadRows bad_;
  std::vector<RowTokenizer> tokenizers_;  // one a thread
  std::vector<TokenWindows> windows_;
  int64_t label_width_ = 0;
  int64_t rows_ = 0;
  std::vector<uint64_t> offsets_ = {0};
  std::vector<int32_t> pair_begins_;
  std::vector<int64_t> row_of_;
  std::vector<int32_t> indices_;
  std::vector<float> values_;
};

}  // namespace

void TokenizedDataset::build(FileSystem& files, const std::string& path, const std::string& key,
                             const TokenizedSource& source, ThreadPool& pool) {
  const std::string part = path + ".part";
  if (files.exists(part)) files.remove(part);  // of a run that died here
  try {
    const std::unique_ptr<File> file = files.open(part, OpenMode::kCreate);
    Builder(*file, source, pool).run(key);
    file->close();
  } catch (...) {
    if (files.exists(part)) files.remove(part);
    throw;
  }
  // Not synced: whatever a crash leaves of it fails the hash and is built again.
  files.rename(part, path);
}

}  // namespace heddle
