#include "datasets/tokenized_dataset.h"

#include <algorithm>
#include <cstring>

#include "datasets/token_cache.h"
#include "framework/io/hash.h"

namespace heddle {
namespace {

// Cuts one part after another off the front of the file, each on a multiple of 8 bytes. Where the
// file is too short, nothing more is given, and `whole` is false.
class Parts {
 public:
  explicit Parts(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <typename T>
  std::span<const T> take(uint64_t count) {
    whole_ = whole_ && count <= rest_.size() / sizeof(T);
    if (!whole_) return {};
    const std::span<const T> part(reinterpret_cast<const T*>(rest_.data()), count);
    const uint64_t bytes = std::min<uint64_t>(padded(count * sizeof(T)), rest_.size());
    rest_ = rest_.subspan(bytes);
    return part;
  }
  bool whole() const { return whole_ && rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
  bool whole_ = true;
};

// The header, if the file has this key and its hash is right.
std::optional<CacheHeader> valid_header(std::span<const std::byte> bytes, const std::string& key) {
  CacheHeader header;
  if (bytes.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != CacheHeader::kMagic || header.version != CacheHeader::kVersion ||
      std::string_view(header.key.data(), header.key.size()) != key) {
    return std::nullopt;
  }
  CacheHeader blank = header;
  blank.hash = {};
  Hasher hasher;
  hasher.update(bytes.subspan(sizeof header));
  hasher.update(std::as_bytes(std::span(&blank, 1)));
  if (std::string_view(header.hash.data(), header.hash.size()) != hasher.hex()) {
    return std::nullopt;
  }
  return header;
}

std::vector<BadRow> parse_bad_rows(std::span<const char> text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin < text.size();) {
    const auto end = std::find(text.begin() + static_cast<int64_t>(begin), text.end(), '\0');
    parts.emplace_back(text.begin() + static_cast<int64_t>(begin), end);
    begin += parts.back().size() + 1;
  }
  std::vector<BadRow> rows;
  for (size_t i = 0; i + 1 < parts.size(); i += 2) rows.push_back({parts[i], parts[i + 1]});
  return rows;
}

}  // namespace

std::string TokenizedDataset::key(FileSystem& files, const TokenizedSource& source) {
  Hasher hasher;
  hasher.update(fmt::format("format {}\n", CacheHeader::kVersion));
  for (const std::string& path : expand_paths(source.data.paths)) {
    if (path == "-") {
      throw Error(ExitCode::kInput, "standard input cannot be a data set: it is read once only",
                  "save it to a file first");
    }
    // The name is part of the key because bad rows are told by it.
    hasher.update(fmt::format("file {} {}\n", path, hash_file(files, path)));
  }
  const DataSource& data = source.data;
  hasher.update(fmt::format("columns '{}' '{}' '{}' {} {}\n", data.text, data.pair, data.label,
                            data.header, data.format ? static_cast<int>(*data.format) : -1));
  hasher.update(fmt::format("labels {} {} {}\n", static_cast<int>(source.label_kind),
                            source.numbers, source.skip_bad));
  for (const std::string& name : source.labels.names()) {
    hasher.update(fmt::format("label {} {}\n", name.size(), name));
  }
  hasher.update(fmt::format("ids {} {}", source.tokenizer_fingerprint, source.id_bound));
  return hasher.hex();
}

bool TokenizedDataset::is_valid(FileSystem& files, const std::string& path,
                                const std::string& key) {
  if (files.kind(path) != FileKind::kFile) return false;
  return valid_header(files.map(path)->bytes(), key).has_value();
}

TokenizedDataset TokenizedDataset::open(FileSystem& files, const std::string& path,
                                        const std::string& key) {
  const auto invalid = [&] {
    return Error(ExitCode::kNoData,
                 fmt::format("{}: is damaged, or not the token cache of these data", path),
                 "it is built from the data files; remove it to have it built again");
  };
  TokenizedDataset data;
  data.mapping_ = files.map(path);
  const std::span<const std::byte> bytes = data.mapping_->bytes();
  const std::optional<CacheHeader> header = valid_header(bytes, key);
  if (!header) throw invalid();

  data.sequences_ = static_cast<int64_t>(header->sequences);
  data.rows_ = static_cast<int64_t>(header->rows);
  data.label_kind_ = static_cast<LabelKind>(header->label_kind);
  data.label_width_ = static_cast<int64_t>(header->label_width);
  const bool has_index = data.label_kind_ == LabelKind::kIndex;
  Parts parts(bytes.subspan(sizeof(CacheHeader)));
  data.narrow_ids_ = parts.take<uint16_t>(header->id_bytes == 2 ? header->tokens : 0);
  data.wide_ids_ = parts.take<int32_t>(header->id_bytes == 4 ? header->tokens : 0);
  data.offsets_ = parts.take<uint64_t>(header->sequences + 1);
  data.pair_begins_ = parts.take<int32_t>(header->sequences);
  data.row_of_ = parts.take<int64_t>(header->rows == header->sequences ? 0 : header->sequences);
  data.indices_ = parts.take<int32_t>(has_index ? header->rows : 0);
  data.values_ = parts.take<float>(has_index ? 0 : header->rows * header->label_width);
  data.bad_rows_ = parse_bad_rows(parts.take<char>(header->bad_bytes));
  if (!parts.whole()) throw invalid();
  return data;
}

std::vector<int32_t> TokenizedDataset::ids(int64_t i) const {
  std::vector<int32_t> ids(static_cast<size_t>(length(i)));
  copy_ids(i, ids);
  return ids;
}

void TokenizedDataset::add_to(PackedSequences& batch, int64_t i) const {
  copy_ids(i, batch.add(length(i), pair_begin(i), i));
}

void TokenizedDataset::copy_ids(int64_t i, std::span<int32_t> out) const {
  const uint64_t begin = offsets_[static_cast<size_t>(i)];
  if (!narrow_ids_.empty()) {
    std::copy_n(narrow_ids_.begin() + static_cast<int64_t>(begin), out.size(), out.begin());
  } else if (!out.empty()) {
    std::copy_n(wide_ids_.begin() + static_cast<int64_t>(begin), out.size(), out.begin());
  }
}

std::span<const float> TokenizedDataset::label_values(int64_t i) const {
  const auto width = static_cast<size_t>(label_width_);
  return values_.subspan(static_cast<size_t>(row(i)) * width, width);
}

}  // namespace heddle
