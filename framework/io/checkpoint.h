// Reading a checkpoint: any box of any tensor, whatever boxes its writers had.
//
//   std::optional<Checkpoint> newest = find_newest_valid(files, "runs/sst2/checkpoints", warn);
//   if (newest) newest->read("weights/w", my_box, my_bytes);
//
// Nothing of a file is used before its size and its xxh3-128 are what the manifest says. That finds
// damage; it does not prove who wrote the checkpoint: read only those you trust.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/io/checkpoint_writer.h"
#include "framework/io/hdf5_file.h"
#include "framework/io/manifest.h"

namespace heddle {

enum class Verify {
  kAtOpen,  // every file, now
  kOnUse,   // sizes now, the content of a file when something of it is first read
};

// Throws Error(kNoData) "PATH: ..." on damage, FileError where the disk refuses.
class Checkpoint {
 public:
  // `path` is a checkpoint's directory, or a link to one.
  Checkpoint(FileSystem& files, const std::string& path, Verify verify = Verify::kAtOpen);

  const std::string& path() const { return path_; }
  int64_t step() const { return manifest_.step; }
  const Json& metadata() const { return manifest_.metadata; }
  const StoredTensors& tensors() const { return manifest_.tensors; }
  const std::vector<ShardFile>& files() const { return manifest_.files; }
  bool contains(const std::string& name) const { return manifest_.tensors.contains(name); }
  // Throws Error(kNoData) with the nearest name if there is none.
  const StoredTensor& at(const std::string& name) const;

  // Fills `bytes` with the elements of a box in row-major order, in the stored dtype.
  void read(const std::string& name, const Box& box, std::span<std::byte> bytes) const;
  // The whole tensor.
  void read(const std::string& name, std::span<std::byte> bytes) const;
  // Verifies the files that hold a tensor, unless that is done.
  void verify(const std::string& name) const;
  // The elements of a box as they lie in a file, mapped as long as they are held (file_system.h);
  // null if they do not all lie together in one, or are not aligned.
  std::shared_ptr<const std::byte> hold(const std::string& name, const Box& box) const;
  // What `CheckpointWriter::add_text` wrote.
  std::string text(const std::string& name) const;

 private:
  const Hdf5Reader& shard(size_t file) const;

  FileSystem& files_;
  std::string path_;
  Manifest manifest_;
  mutable std::vector<std::unique_ptr<Hdf5Reader>> shards_;  // by file; null until verified
};

// Called with the path of a checkpoint that is passed over, and why.
using OnFallback = std::function<void(const std::string& path, const std::string& reason)>;

// The newest checkpoint in ROOT that is whole, every file verified. Nothing if ROOT holds none;
// Error(kNoData) if it holds some and none is valid, or the newest is of an unknown version.
std::optional<Checkpoint> find_newest_valid(FileSystem& files, const std::string& root,
                                            const OnFallback& on_fallback);

struct CheckedPart {
  std::string name;   // of a file or tensor
  std::string what;   // "123456 bytes", "f32 [384, 384] in 2 boxes"
  std::string fault;  // "" if good
};

struct CheckpointReport {
  std::string path;
  std::string fault;  // of the manifest; then nothing follows
  std::vector<CheckedPart> files, tensors;

  bool is_good() const;
};

// Looks at everything and reports all faults, rather than throwing the first.
CheckpointReport verify_checkpoint(FileSystem& files, const std::string& path);

}  // namespace heddle
