// Hugging Face's safetensors files: named tensors behind a JSON header, memory-mapped.
//
//   SafetensorsFile weights = SafetensorsFile::open(files, "model/");   // or a file, or an index
//   const SafetensorsEntry& entry = weights.at("bert.pooler.dense.bias");
//   std::memcpy(target, entry.bytes.data(), entry.bytes.size());
//
// The format: u64 little-endian header size N; N bytes of JSON object
// {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, "__metadata__": {...}};
// then the data. Here the header has at most 100 MB and starts with '{', no key comes twice, and
// the tensors lie one after the other from 0 to the end of the file, as their dtype and shape say.
// Anything else is refused with Error(kInput) "PATH: tensor 'x' ...", and nothing outside is read.
// The format has no checksum: a flip in the data goes unseen, so record `hash_file` of `paths()`.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/core/dtype.h"
#include "framework/io/file_system.h"

namespace heddle {

struct SafetensorsEntry {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  // Mapped for as long as the SafetensorsFile lives. Not always aligned to the dtype: copy from it.
  std::span<const std::byte> bytes;
};

class SafetensorsFile {
 public:
  // `path` is a .safetensors file, a "….safetensors.index.json", or a folder that holds
  // model.safetensors or model.safetensors.index.json.
  static SafetensorsFile open(FileSystem& files, const std::string& path);

  // Names of all tensors, sorted.
  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return entries_.contains(name); }
  // Throws Error(kInput) with the nearest name if there is none, or if its dtype is one that
  // safetensors knows and Heddle does not (such as F64).
  const SafetensorsEntry& at(const std::string& name) const;
  // Gives the memory of pages that were read for `name` back; they can be read again.
  void release(const std::string& name) const;
  // A part of the tensor's bytes, mapped as long as it is held (file_system.h).
  std::shared_ptr<const std::byte> hold(const std::string& name,
                                        std::span<const std::byte> part) const;

  // The "__metadata__" of all files together.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // The data files that were opened.
  const std::vector<std::string>& paths() const { return paths_; }

 private:
  struct Stored {
    SafetensorsEntry entry;
    std::string unknown_dtype;  // not empty: known to the format, not to us
    size_t file = 0;            // in mappings_ and paths_
  };

  void add_file(FileSystem& files, const std::string& path);
  void add_index(FileSystem& files, const std::string& path);
  const Stored& stored(const std::string& name) const;

  std::string path_;
  std::map<std::string, Stored> entries_;
  std::map<std::string, std::string> metadata_;
  std::vector<std::string> paths_;
  std::vector<std::shared_ptr<const Mapping>> mappings_;
};

// A tensor to write. `bytes` is its content in row-major order. Where `read` is set, it gives the
// content instead, when it is written; that need stay only until the next tensor is read.
struct SafetensorsTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
  std::function<std::span<const std::byte>()> read = {};
};

using SafetensorsMetadata = std::map<std::string, std::string>;

// Writes one file, atomically. The order in the file is by element size and name, as Hugging Face
// writes it, so that every tensor is aligned.
void write_safetensors(FileSystem& files, const std::string& path,
                       std::vector<SafetensorsTensor> tensors,
                       const SafetensorsMetadata& metadata = {{"format", "pt"}});

// Writes FOLDER/model.safetensors, or, if the tensors have more than `max_shard_bytes` together,
// model-00001-of-0000N.safetensors and model.safetensors.index.json. A tensor is never divided.
void write_safetensors_folder(FileSystem& files, const std::string& folder,
                              const std::vector<SafetensorsTensor>& tensors,
                              uint64_t max_shard_bytes = uint64_t{5} * 1000 * 1000 * 1000,
                              const SafetensorsMetadata& metadata = {{"format", "pt"}});

}  // namespace heddle
