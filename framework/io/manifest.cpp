#include "framework/io/manifest.h"

#include <algorithm>
#include <stdexcept>

#include "framework/io/hash.h"

namespace heddle {

namespace {

constexpr const char* kFormat = "heddle checkpoint";
constexpr int64_t kVersion = 1;
constexpr std::string_view kBeforeHash = ",\n\"xxh3_128\": \"";
constexpr std::string_view kAfterHash = "\"}\n";
constexpr size_t kHashDigits = 32;
constexpr uint64_t kMostBytes = uint64_t{1} << 30;

Json to_json(const ShardFile& file) {
  return {{"name", file.name}, {"bytes", file.bytes}, {"xxh3_128", file.hash}};
}

Json to_json(const StoredTensors& tensors) {
  Json result = Json::object();
  for (const auto& [name, tensor] : tensors) {
    Json boxes = Json::array();
    for (const StoredBox& stored : tensor.boxes) {
      boxes.push_back({{"file", stored.file},
                       {"dataset", stored.dataset},
                       {"begin", stored.box.begin},
                       {"extent", stored.box.extent}});
    }
    result[name] = {{"dtype", name_of(tensor.dtype)}, {"shape", tensor.shape}, {"boxes", boxes}};
  }
  return result;
}

ShardFile file_from(const JsonView& view) {
  ShardFile file{view["name"].string(), static_cast<uint64_t>(view["bytes"].integer(0)),
                 view["xxh3_128"].string()};
  const bool is_plain = file.name.starts_with("shard-") && file.name.ends_with(".h5") &&
                        file.name == base_name(file.name);
  if (!is_plain)
    throw view["name"].error(fmt::format("is '{}'. Expected shard-NNN….h5.", file.name));
  return file;
}

DType dtype_from(const JsonView& view) {
  try {
    return dtype_from_name(view.string());
  } catch (const std::invalid_argument& error) {
    throw view.error(fmt::format("is no dtype: {}", error.what()));
  }
}

// "" if the boxes tile the tensor.
std::string fault_of(const StoredTensor& tensor) {
  std::vector<Box> boxes;
  for (const StoredBox& stored : tensor.boxes) boxes.push_back(stored.box);
  try {
    return tiling_fault(tensor.shape, boxes);
  } catch (const std::overflow_error& error) {
    return error.what();
  }
}

StoredTensors tensors_from(const JsonView& view, size_t file_count) {
  StoredTensors tensors;
  for (const std::string& name : view.keys()) {
    const JsonView fields = view[name];
    StoredTensor& tensor = tensors[name];
    tensor.dtype = dtype_from(fields["dtype"]);
    tensor.shape = fields["shape"].integers(0);
    const JsonView boxes = fields["boxes"];
    for (size_t i = 0; i < boxes.size(); ++i) {
      const JsonView box = boxes.at(i);
      const auto file =
          static_cast<size_t>(box["file"].integer(0, static_cast<int64_t>(file_count) - 1));
      tensor.boxes.push_back(
          {file, box["dataset"].string(), {box["begin"].integers(0), box["extent"].integers(0)}});
    }
  }
  return tensors;
}

Manifest manifest_from(const JsonView& document) {
  const JsonView body = document["manifest"];
  if (body["format"].string() != kFormat) {
    throw body["format"].error(
        fmt::format("is '{}'. Expected '{}'.", body["format"].string(), kFormat));
  }
  const int64_t version = body["version"].integer();
  if (version != kVersion) {
    throw UnknownVersion(ExitCode::kNoData,
                         fmt::format("{}: has format version {}. This program reads version {}.",
                                     document.name(), version, kVersion),
                         "open it with the version of the program that wrote it");
  }
  Manifest manifest;
  manifest.step = body["step"].integer(0);
  const JsonView files = body["files"];
  for (size_t i = 0; i < files.size(); ++i) manifest.files.push_back(file_from(files.at(i)));
  manifest.tensors = tensors_from(body["tensors"], manifest.files.size());
  for (const auto& [name, tensor] : manifest.tensors) {
    if (const std::string fault = fault_of(tensor); !fault.empty()) {
      throw body["tensors"][name].error(fmt::format("is not tiled by its boxes: {}", fault));
    }
  }
  manifest.metadata = body["metadata"].raw();
  return manifest;
}

// The text with its hash, if the hash is right.
void check_hash(const std::string& path, std::string_view text) {
  const auto damaged = [&](std::string_view how) {
    return Error(ExitCode::kNoData, fmt::format("{}: is damaged: {}", path, how));
  };
  constexpr size_t kTail = kBeforeHash.size() + kHashDigits + kAfterHash.size();
  if (text.size() < kTail) throw damaged("it is cut off");
  const std::string_view tail = text.substr(text.size() - kTail);
  if (!tail.starts_with(kBeforeHash) || !tail.ends_with(kAfterHash))
    throw damaged("it does not end as it should");
  const std::string_view hashed = text.substr(0, text.size() - kHashDigits - kAfterHash.size());
  if (hash_hex(hashed) != tail.substr(kBeforeHash.size(), kHashDigits)) {
    throw damaged("its content does not have the hash it states");
  }
}

}  // namespace

std::string ShardSummary::to_text() const {
  return dump_json({{"file", to_json(file)}, {"tensors", to_json(tensors)}});
}

ShardSummary ShardSummary::from_text(std::string_view text) {
  const Json document = parse_json(text, "shard summary", {.bytes = kMostBytes});
  const JsonView view(document, "shard summary");
  return {file_from(view["file"]), tensors_from(view["tensors"], 1)};
}

std::string Manifest::to_text() const {
  Json listed = Json::array();
  for (const ShardFile& file : files) listed.push_back(to_json(file));
  const Json body{
      {"format", kFormat},          {"version", kVersion},         {"step", step},
      {"files", std::move(listed)}, {"tensors", to_json(tensors)}, {"metadata", metadata}};
  std::string text = fmt::format("{{\"manifest\": {}{}", dump_json(body, 1), kBeforeHash);
  const std::string hash = hash_hex(text);
  return text.append(hash).append(kAfterHash);
}

Manifest merge(std::vector<ShardSummary> shards, int64_t step, Json metadata) {
  Manifest manifest{.step = step, .files = {}, .tensors = {}, .metadata = std::move(metadata)};
  for (ShardSummary& shard : shards) {
    for (auto& [name, tensor] : shard.tensors) {
      for (StoredBox& stored : tensor.boxes) stored.file = manifest.files.size();
      const auto [known, is_new] = manifest.tensors.try_emplace(name, tensor);
      if (is_new) continue;
      check(known->second.dtype == tensor.dtype && known->second.shape == tensor.shape,
            "[checkpoint] writers disagree on dtype or shape of tensor '{}'", name);
      std::move(tensor.boxes.begin(), tensor.boxes.end(), std::back_inserter(known->second.boxes));
    }
    manifest.files.push_back(std::move(shard.file));
  }
  for (const auto& [name, tensor] : manifest.tensors) {
    const std::string fault = fault_of(tensor);
    check(fault.empty(), "[checkpoint] tensor '{}' is not tiled by what was written: {}", name,
          fault);
  }
  return manifest;
}

Manifest read_manifest(FileSystem& files, const std::string& directory) {
  const std::string path = join_path(directory, kManifestFile);
  if (!files.exists(path)) {
    throw Error(ExitCode::kNoData,
                fmt::format("{}: is no checkpoint: there is no {}", directory, kManifestFile));
  }
  const std::string text = read_file(files, path, kMostBytes);
  check_hash(path, text);
  try {
    const Json document = parse_json(text, path, {.bytes = kMostBytes, .depth = 1000});
    return manifest_from(JsonView(document, path));
  } catch (const UnknownVersion&) {
    throw;
  } catch (const Error& error) {
    throw Error(ExitCode::kNoData, error.what(), error.hint());
  }
}

}  // namespace heddle
