#include "framework/io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "framework/core/nearest_name.h"
#include "framework/io/json.h"

namespace heddle {

static_assert(std::endian::native == std::endian::little, "safetensors are read as they lie");

namespace {

constexpr uint64_t kMostHeaderBytes = 100'000'000;
constexpr const char* kMetadata = "__metadata__";
constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

struct NamedDType {
  std::string name;
  uint64_t bytes;
  std::optional<DType> dtype;  // none: the format has it, Heddle does not
};

const std::vector<NamedDType>& known_dtypes() {
  static const std::vector<NamedDType> known{
      {"F32", 4, DType::kF32},   {"BF16", 2, DType::kBF16},    {"F16", 2, DType::kF16},
      {"I32", 4, DType::kI32},   {"I64", 8, DType::kI64},      {"U8", 1, DType::kU8},
      {"BOOL", 1, std::nullopt}, {"I8", 1, std::nullopt},      {"I16", 2, std::nullopt},
      {"U16", 2, std::nullopt},  {"U32", 4, std::nullopt},     {"U64", 8, std::nullopt},
      {"F64", 8, std::nullopt},  {"F8_E4M3", 1, std::nullopt}, {"F8_E5M2", 1, std::nullopt}};
  return known;
}

const NamedDType& dtype_named(const JsonView& place) {
  std::vector<std::string> names;
  for (const NamedDType& known : known_dtypes()) {
    if (known.name == place.string()) return known;
    names.push_back(known.name);
  }
  throw place.error(fmt::format("is an unknown dtype '{}'", place.string()),
                    did_you_mean(place.string(), names));
}

std::string format_name(DType dtype) {
  for (const NamedDType& known : known_dtypes()) {
    if (known.dtype == dtype) return known.name;
  }
  throw std::invalid_argument(fmt::format("safetensors have no dtype '{}'", name_of(dtype)));
}

// Bytes of a tensor; refuses a product that does not fit.
uint64_t byte_size(const JsonView& shape, uint64_t element_bytes) {
  uint64_t bytes = element_bytes;
  for (const int64_t extent : shape.integers(0)) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes) || bytes >> 62 != 0) {
      throw shape.error(fmt::format("has too many elements: {}", dump_json(shape.raw())));
    }
  }
  return bytes;
}

struct Extent {
  uint64_t begin, end;
  std::string name;
};

// Tensors must lie one after the other and fill the data.
void check_layout(const std::string& path, std::vector<Extent>& extents, uint64_t data_bytes) {
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t reached = 0;
  for (const Extent& extent : extents) {
    if (extent.begin != reached) {
      throw Error(ExitCode::kInput,
                  fmt::format("{}: tensor '{}' begins at byte {} of the data. Expected {}: tensors "
                              "follow each other without {}.",
                              path, extent.name, extent.begin, reached,
                              extent.begin < reached ? "overlap" : "hole"));
    }
    reached = extent.end;
  }
  if (reached != data_bytes) {
    throw Error(ExitCode::kInput,
                fmt::format("{}: its tensors have {} bytes, the file {}{}", path, reached,
                            data_bytes, reached > data_bytes ? "; is it cut off?" : ""));
  }
}

Json parse_header(const std::string& path, std::span<const std::byte> file) {
  uint64_t header_bytes = 0;
  if (file.size() < sizeof header_bytes) {
    throw Error(ExitCode::kInput,
                fmt::format("{}: has {} bytes, too few for a safetensors file", path, file.size()));
  }
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  if (header_bytes > kMostHeaderBytes) {
    throw Error(ExitCode::kInput,
                fmt::format("{}: its header has {} bytes. Expected at most {}; is "
                            "this a safetensors file?",
                            path, header_bytes, kMostHeaderBytes));
  }
  if (header_bytes > file.size() - sizeof header_bytes) {
    throw Error(ExitCode::kInput,
                fmt::format("{}: its header has {} bytes, the file only {}; is it cut off?", path,
                            header_bytes, file.size()));
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + sizeof header_bytes,
                              header_bytes);
  if (!text.starts_with('{')) {
    throw Error(ExitCode::kInput, fmt::format("{}: its header does not start with '{{'", path));
  }
  return parse_json(text, path + " (header)", {.bytes = kMostHeaderBytes, .depth = 4});
}

// What is at `path`, as the user may have meant it.
std::string resolve(FileSystem& files, const std::string& path) {
  if (!files.is_directory(path)) return path;  // a file, or an error that open tells
  for (const char* name : {kSingleFile, kIndexFile}) {
    if (files.exists(join_path(path, name))) return join_path(path, name);
  }
  throw Error(
      ExitCode::kInput, fmt::format("{}: holds neither {} nor {}", path, kSingleFile, kIndexFile),
      "weights in other formats (pytorch_model.bin) are not read: they can run code; convert "
      "them with save_pretrained(..., safe_serialization=True)");
}

// Bytes of a tensor's content.
uint64_t content_bytes(const SafetensorsTensor& tensor) {
  auto bytes = static_cast<uint64_t>(size_of(tensor.dtype));
  for (const int64_t extent : tensor.shape) bytes *= static_cast<uint64_t>(extent);
  return bytes;
}

std::string first_few(const std::vector<std::string>& problems) {
  constexpr size_t kShown = 8;
  std::string text;
  for (size_t i = 0; i < std::min(problems.size(), kShown); ++i) text += "\n  " + problems[i];
  if (problems.size() > kShown) text += fmt::format("\n  and {} more", problems.size() - kShown);
  return text;
}

}  // namespace

SafetensorsFile SafetensorsFile::open(FileSystem& files, const std::string& path) {
  SafetensorsFile opened;
  opened.path_ = resolve(files, path);
  if (opened.path_.ends_with(".index.json")) {
    opened.add_index(files, opened.path_);
  } else {
    opened.add_file(files, opened.path_);
  }
  return opened;
}

void SafetensorsFile::add_file(FileSystem& files, const std::string& path) {
  std::unique_ptr<Mapping> mapping = files.map(path);
  const std::span<const std::byte> file = mapping->bytes();
  const Json header = parse_header(path, file);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  const auto data = file.subspan(sizeof header_bytes + header_bytes);

  static const std::vector<std::string> kFields{"data_offsets", "dtype", "shape"};
  const JsonView view(header, path + " (header)");
  std::vector<Extent> extents;
  for (const std::string& name : view.keys()) {
    const JsonView fields = view[name];
    if (name == kMetadata) {
      for (const std::string& key : fields.keys()) metadata_[key] = fields[key].string();
      continue;
    }
    fields.allow_only(kFields);
    const NamedDType& dtype = dtype_named(fields["dtype"]);
    const uint64_t bytes = byte_size(fields["shape"], dtype.bytes);
    const JsonView offsets = fields["data_offsets"];
    if (offsets.size() != 2) throw offsets.error("has not 2 elements, begin and end");
    const auto begin = static_cast<uint64_t>(offsets.at(0).integer(0));
    const auto end = static_cast<uint64_t>(offsets.at(1).integer(0));
    if (end < begin || end - begin != bytes) {
      throw offsets.error(fmt::format("is [{}, {}]; {} elements of {} need {} bytes", begin, end,
                                      bytes / dtype.bytes, dtype.name, bytes));
    }
    if (end > data.size()) {
      throw Error(ExitCode::kInput,
                  fmt::format("{}: tensor '{}' ends at byte {} of the data, the data at {}; is the "
                              "file cut off?",
                              path, name, end, data.size()));
    }
    if (entries_.contains(name)) {
      throw Error(ExitCode::kInput, fmt::format("{}: tensor '{}' is also in {}", path, name,
                                                paths_[entries_.at(name).file]));
    }
    extents.push_back({begin, end, name});
    Stored& stored = entries_[name];
    if (!dtype.dtype) stored.unknown_dtype = dtype.name;
    stored.file = paths_.size();
    stored.entry = {dtype.dtype.value_or(DType::kU8), fields["shape"].integers(0),
                    data.subspan(begin, bytes)};
  }
  check_layout(path, extents, data.size());
  paths_.push_back(path);
  mappings_.push_back(std::move(mapping));
}

void SafetensorsFile::add_index(FileSystem& files, const std::string& path) {
  const Json document = read_json(files, path, {.bytes = kMostHeaderBytes});
  const JsonView map = JsonView(document, path)["weight_map"];
  std::map<std::string, std::string> file_of;
  std::vector<std::string> names;
  for (const std::string& name : map.keys()) {
    const std::string& file = map[name].string();
    // A name may come from anywhere; only files beside the index are its business.
    if (file.empty() || file != base_name(file) || file == "." || file == "..") {
      throw map[name].error(
          fmt::format("is '{}'. Expected the name of a file beside the index.", file));
    }
    file_of[name] = file;
    names.push_back(file);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const std::string& name : names) add_file(files, join_path(parent_path(path), name));

  std::vector<std::string> problems;
  for (const auto& [name, file] : file_of) {
    const auto found = entries_.find(name);
    if (found == entries_.end()) {
      problems.push_back(fmt::format("tensor '{}' is not in {}", name, file));
    } else if (base_name(paths_[found->second.file]) != file) {
      problems.push_back(fmt::format("tensor '{}' is in {}, not in {}", name,
                                     base_name(paths_[found->second.file]), file));
    }
  }
  for (const auto& [name, stored] : entries_) {
    if (!file_of.contains(name)) {
      problems.push_back(fmt::format("tensor '{}' of {} is not in the index", name,
                                     base_name(paths_[stored.file])));
    }
  }
  if (!problems.empty()) {
    throw Error(ExitCode::kInput,
                fmt::format("{}: does not fit its files:{}", path, first_few(problems)));
  }
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, stored] : entries_) names.push_back(name);
  return names;
}

const SafetensorsFile::Stored& SafetensorsFile::stored(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    throw Error(ExitCode::kInput, fmt::format("{}: has no tensor '{}'", path_, name),
                did_you_mean(name, names()));
  }
  return found->second;
}

const SafetensorsEntry& SafetensorsFile::at(const std::string& name) const {
  const Stored& found = stored(name);
  if (!found.unknown_dtype.empty()) {
    throw Error(
        ExitCode::kInput,
        fmt::format("{}: tensor '{}' has dtype {}. Expected F32, BF16, F16, I32, I64 or U8.",
                    paths_[found.file], name, found.unknown_dtype));
  }
  return found.entry;
}

void SafetensorsFile::release(const std::string& name) const {
  const Stored& found = stored(name);
  mappings_[found.file]->release(found.entry.bytes);
}

std::shared_ptr<const std::byte> SafetensorsFile::hold(const std::string& name,
                                                       std::span<const std::byte> part) const {
  return heddle::hold(mappings_[stored(name).file], part);
}

void write_safetensors(FileSystem& files, const std::string& path,
                       std::vector<SafetensorsTensor> tensors,
                       const SafetensorsMetadata& metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return std::make_pair(-size_of(a.dtype), a.name) < std::make_pair(-size_of(b.dtype), b.name);
  });
  Json header = Json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  uint64_t reached = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    const uint64_t bytes = content_bytes(tensor);
    check(tensor.name != kMetadata && !header.contains(tensor.name),
          "[write_safetensors] the name '{}' is taken", tensor.name);
    header[tensor.name] = {{"dtype", format_name(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {reached, reached + bytes}}};
    reached += bytes;
  }
  std::string text = dump_json(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data starts aligned
  const uint64_t header_bytes = text.size();
  write_atomically(files, path, [&](File& file) {
    file.write_at(0, std::as_bytes(std::span(&header_bytes, 1)));
    file.write_at(sizeof header_bytes, std::as_bytes(std::span(text)));
    uint64_t offset = sizeof header_bytes + header_bytes;
    for (const SafetensorsTensor& tensor : tensors) {
      const std::span<const std::byte> bytes = tensor.read ? tensor.read() : tensor.bytes;
      check(bytes.size() == content_bytes(tensor),
            "[write_safetensors] '{}' has {} bytes. Expected {}.", tensor.name, bytes.size(),
            content_bytes(tensor));
      file.write_at(offset, bytes);
      offset += bytes.size();
    }
  });
}

void write_safetensors_folder(FileSystem& files, const std::string& folder,
                              const std::vector<SafetensorsTensor>& tensors,
                              uint64_t max_shard_bytes, const SafetensorsMetadata& metadata) {
  std::vector<std::vector<SafetensorsTensor>> shards(1);
  uint64_t shard_bytes = 0;
  uint64_t total_bytes = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    const uint64_t bytes = content_bytes(tensor);
    if (!shards.back().empty() && shard_bytes + bytes > max_shard_bytes) {
      shards.emplace_back();
      shard_bytes = 0;
    }
    shards.back().push_back(tensor);
    shard_bytes += bytes;
    total_bytes += bytes;
  }
  make_directories(files, folder);
  if (shards.size() == 1) {
    write_safetensors(files, join_path(folder, kSingleFile), shards[0], metadata);
    return;
  }
  Json weight_map = Json::object();
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    for (const SafetensorsTensor& tensor : shards[i]) weight_map[tensor.name] = name;
    write_safetensors(files, join_path(folder, name), shards[i], metadata);
  }
  const Json index{{"metadata", {{"total_size", total_bytes}}}, {"weight_map", weight_map}};
  write_file_atomically(files, join_path(folder, kIndexFile), dump_json(index, 2) + "\n");
}

}  // namespace heddle
