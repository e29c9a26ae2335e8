#include "framework/io/checkpoint.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "framework/core/nearest_name.h"
#include "framework/io/hash.h"

namespace heddle {

namespace {

Error damaged(const std::string& path, std::string_view how) {
  return Error(ExitCode::kNoData, fmt::format("{}: {}", path, how));
}

// Only the size: a look that costs nothing.
void check_size(FileSystem& files, const std::string& path, const ShardFile& expected) {
  if (files.kind(path) != FileKind::kFile) throw damaged(path, "the file is missing");
  const uint64_t size = files.size(path);
  if (size != expected.bytes) {
    throw damaged(path, fmt::format("has {} bytes; the manifest says {}", size, expected.bytes));
  }
}

// What the manifest says about datasets and what the file has.
void check_datasets(const std::string& path, const Manifest& manifest, size_t file,
                    const Hdf5Datasets& datasets) {
  size_t expected = 0;
  for (const auto& [name, tensor] : manifest.tensors) {
    for (const StoredBox& stored : tensor.boxes) {
      if (stored.file != file) continue;
      ++expected;
      const auto found = datasets.find(stored.dataset);
      if (found == datasets.end()) {
        throw damaged(path, fmt::format("dataset '{}' is missing", stored.dataset));
      }
      if (found->second.dtype != tensor.dtype || found->second.shape != stored.box.extent) {
        throw damaged(
            path, fmt::format("dataset '{}' is {} [{}]; the manifest says {} [{}]", stored.dataset,
                              name_of(found->second.dtype), fmt::join(found->second.shape, ", "),
                              name_of(tensor.dtype), fmt::join(stored.box.extent, ", ")));
      }
    }
  }
  if (expected != datasets.size()) {
    throw damaged(path,
                  fmt::format("has {} datasets; the manifest says {}", datasets.size(), expected));
  }
}

// Verifies a file and opens it. The hash is of the open file, the one that is read from then on.
std::unique_ptr<Hdf5Reader> open_shard(FileSystem& files, const std::string& directory,
                                       const Manifest& manifest, size_t index) {
  const ShardFile& expected = manifest.files[index];
  const std::string path = join_path(directory, expected.name);
  check_size(files, path, expected);
  std::unique_ptr<File> file = files.open(path, OpenMode::kRead);
  const std::string hash = hash_file(*file);
  if (hash != expected.hash) {
    throw damaged(path, fmt::format("is damaged: its content has hash {}; the manifest says {}",
                                    hash, expected.hash));
  }
  try {
    auto reader = std::make_unique<Hdf5Reader>(std::move(file));
    check_datasets(path, manifest, index, reader->datasets());
    return reader;
  } catch (const FileError&) {
    throw;
  } catch (const Error& error) {
    throw Error(ExitCode::kNoData, error.what(), error.hint());
  }
}

// The manifest of a checkpoint whose folder still has its name, if it had one of a step.
Manifest read_named_manifest(FileSystem& files, const std::string& path) {
  Manifest manifest = read_manifest(files, path);
  std::string name = base_name(path);
  if (files.kind(path) == FileKind::kSymlink) name = base_name(files.read_symlink(path));
  const auto named = parse_checkpoint_name(name);
  if (named && named->step != manifest.step) {
    throw Error(
        ExitCode::kNoData,
        fmt::format("{}: its manifest is of step {}: the folder was renamed", path, manifest.step),
        fmt::format("give it back its name, step-{:09}", manifest.step));
  }
  return manifest;
}

std::string describe(const StoredTensor& tensor) {
  const size_t boxes = tensor.boxes.size();
  return fmt::format("{} [{}] in {} {}", name_of(tensor.dtype), fmt::join(tensor.shape, ", "),
                     boxes, boxes == 1 ? "box" : "boxes");
}

}  // namespace

Checkpoint::Checkpoint(FileSystem& files, const std::string& path, Verify verify)
    : files_(files), path_(path), manifest_(read_named_manifest(files, path)) {
  for (const ShardFile& file : manifest_.files) check_size(files, join_path(path, file.name), file);
  shards_.resize(manifest_.files.size());
  if (verify == Verify::kOnUse) return;
  for (size_t file = 0; file < shards_.size(); ++file) shard(file);
}

const Hdf5Reader& Checkpoint::shard(size_t file) const {
  if (shards_[file] == nullptr) shards_[file] = open_shard(files_, path_, manifest_, file);
  return *shards_[file];
}

const StoredTensor& Checkpoint::at(const std::string& name) const {
  const auto found = manifest_.tensors.find(name);
  if (found != manifest_.tensors.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, tensor] : manifest_.tensors) names.push_back(known);
  throw Error(ExitCode::kNoData, fmt::format("{}: has no tensor '{}'", path_, name),
              did_you_mean(name, names));
}

void Checkpoint::read(const std::string& name, const Box& box, std::span<std::byte> bytes) const {
  const StoredTensor& tensor = at(name);
  check(is_inside(box, tensor.shape), "[checkpoint] box {} of tensor '{}' is not inside {}",
        to_string(box), name, to_string(whole(tensor.shape)));
  const auto expected = static_cast<size_t>(box.volume() * size_of(tensor.dtype));
  check(bytes.size() == expected, "[checkpoint] box {} of tensor '{}' has {} bytes, not {}",
        to_string(box), name, expected, bytes.size());
  for (const StoredBox& stored : tensor.boxes) {
    if (!intersection(stored.box, box)) continue;
    shard(stored.file).read(stored.dataset, stored.box, box, bytes);
  }
}

void Checkpoint::read(const std::string& name, std::span<std::byte> bytes) const {
  read(name, whole(at(name).shape), bytes);
}

void Checkpoint::verify(const std::string& name) const {
  for (const StoredBox& stored : at(name).boxes) shard(stored.file);
}

std::shared_ptr<const std::byte> Checkpoint::hold(const std::string& name, const Box& box) const {
  for (const StoredBox& stored : at(name).boxes) {
    if (!intersection(stored.box, box)) continue;
    return shard(stored.file).hold(stored.dataset, stored.box, box);
  }
  return nullptr;
}

std::string Checkpoint::text(const std::string& name) const {
  const StoredTensor& tensor = at(name);
  if (tensor.dtype != DType::kU8 || tensor.shape.size() != 1) {
    throw Error(ExitCode::kNoData,
                fmt::format("{}: '{}' is {}. Expected a text.", path_, name, describe(tensor)));
  }
  std::string text(static_cast<size_t>(tensor.shape[0]), '\0');
  read(name, std::as_writable_bytes(std::span(text)));
  return text;
}

std::optional<Checkpoint> find_newest_valid(FileSystem& files, const std::string& root,
                                            const OnFallback& on_fallback) {
  const std::vector<CheckpointName> names = list_checkpoints(files, root);
  for (const CheckpointName& name : names) {
    try {
      return std::optional<Checkpoint>(std::in_place, files, name.path);
    } catch (const UnknownVersion&) {
      throw;  // going back would lose work that is not lost
    } catch (const Error& error) {
      on_fallback(name.path, error.what());
    }
  }
  if (names.empty()) return std::nullopt;
  throw Error(ExitCode::kNoData,
              fmt::format("{}: none of its {} checkpoints is valid", root, names.size()),
              "heddle verify says what is wrong with each");
}

bool CheckpointReport::is_good() const {
  const auto good = [](const CheckedPart& part) { return part.fault.empty(); };
  return fault.empty() && std::all_of(files.begin(), files.end(), good) &&
         std::all_of(tensors.begin(), tensors.end(), good);
}

CheckpointReport verify_checkpoint(FileSystem& files, const std::string& path) {
  CheckpointReport report{.path = path, .fault = "", .files = {}, .tensors = {}};
  Manifest manifest;
  try {
    manifest = read_named_manifest(files, path);
  } catch (const Error& error) {
    report.fault = error.what();
    return report;
  }
  for (size_t i = 0; i < manifest.files.size(); ++i) {
    const ShardFile& file = manifest.files[i];
    CheckedPart part{file.name, fmt::format("{} bytes", file.bytes), ""};
    try {
      open_shard(files, path, manifest, i);
    } catch (const Error& error) {
      part.fault = error.what();
    }
    report.files.push_back(std::move(part));
  }
  for (const auto& [name, tensor] : manifest.tensors) {
    CheckedPart part{name, describe(tensor), ""};
    for (const StoredBox& stored : tensor.boxes) {
      const CheckedPart& file = report.files[stored.file];
      if (file.fault.empty()) continue;
      part.fault =
          fmt::format("{} lies in {}, which is not valid", to_string(stored.box), file.name);
      break;
    }
    report.tensors.push_back(std::move(part));
  }
  return report;
}

}  // namespace heddle
