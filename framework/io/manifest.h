// The manifest of a checkpoint: which files it has, and which box of which tensor lies where.
//
// manifest.json is the text
//   {"manifest": BODY, "xxh3_128": "HASH"}
// where HASH is of all bytes before its first digit, so that a flip anywhere is found before the
// rest is believed. BODY (version 1):
//   {"format": "heddle checkpoint", "version": 1, "step": 1200,
//    "files": [{"name": "shard-000.h5", "bytes": 123, "xxh3_128": "…"}],     or shard-000-PART.h5
//    "tensors": {"weights/a": {"dtype": "f32", "shape": [4, 6], "boxes":
//      [{"file": 0, "dataset": "weights/a[0:2, 0:6]", "begin": [0, 0], "extent": [2, 6]}, …]}},
//    "metadata": {…}}                          what the program stored
// The boxes of a tensor tile it: no hole, no overlap. A tensor without elements has none.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "framework/core/dtype.h"
#include "framework/io/box.h"
#include "framework/io/file_system.h"
#include "framework/io/json.h"

namespace heddle {

struct ShardFile {
  std::string name;  // in the checkpoint's directory
  uint64_t bytes = 0;
  std::string hash;  // xxh3-128, 32 hexadecimal digits
};

struct StoredBox {
  size_t file = 0;  // in Manifest::files
  std::string dataset;
  Box box;  // of the tensor
};

struct StoredTensor {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  // of the whole tensor
  std::vector<StoredBox> boxes;
};

using StoredTensors = std::map<std::string, StoredTensor>;

// What one writer has written.
struct ShardSummary {
  ShardFile file;
  StoredTensors tensors;  // `StoredBox::file` is 0

  // For the way to another rank.
  std::string to_text() const;
  static ShardSummary from_text(std::string_view text);
};

struct Manifest {
  int64_t step = 0;
  std::vector<ShardFile> files;
  StoredTensors tensors;
  Json metadata = Json::object();

  std::string to_text() const;
};

inline constexpr const char* kManifestFile = "manifest.json";

// One manifest for what all writers have written. Throws std::invalid_argument if they disagree on
// a tensor or if their boxes do not tile it.
Manifest merge(std::vector<ShardSummary> shards, int64_t step, Json metadata);

// A checkpoint of a format that this program does not know; not damaged.
class UnknownVersion : public Error {
 public:
  using Error::Error;
};

// Reads and checks DIRECTORY/manifest.json; files are not looked at. Throws Error(kNoData)
// "PATH: ..." on damage.
Manifest read_manifest(FileSystem& files, const std::string& directory);

}  // namespace heddle
