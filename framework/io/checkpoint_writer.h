// Writing a checkpoint: every writer its own files of boxes, then one of them the manifest.
//
//   const CheckpointPlace place{.root = "runs/sst2/checkpoints", .step = 1200};
//   if (rank == 0) prepare_checkpoint(files, place, total_bytes);       // all agree that it worked
//   CheckpointWriter writer(files, place, rank);
//   writer.add("weights/w", DType::kF32, {384, 384}, my_box, my_bytes);
//   ShardSummary summary = writer.finish();                 // all agree, rank 0 gathers
//   const CommitOptions options{.metadata = state, .keep = 2};
//   if (rank == 0) commit_checkpoint(files, place, summaries, options);
//
// Until the commit renames it, everything lies in ROOT/.tmp-step-000001200; a reader sees the
// checkpoint whole or not at all, whenever the power goes. If any rank fails, rank 0 calls
// `abandon_checkpoint`, and the checkpoints that were there are as before. The ranks' agreement
// between the phases is the caller's.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/io/hdf5_file.h"
#include "framework/io/manifest.h"

namespace heddle {

struct CheckpointPlace {
  std::string root;  // the folder of checkpoints
  int64_t step = 0;

  std::string temporary() const;  // ROOT/.tmp-step-000001200
};

// Before any writer starts, once: makes the folders, removes what saves that died have left, and
// throws Error(kIo) if the disk has less than `bytes` (of all writers) and a little more.
void prepare_checkpoint(FileSystem& files, const CheckpointPlace& place, uint64_t bytes);

// One file of a writer. Used by one thread; different writers need nothing of each other.
class CheckpointWriter {
 public:
  // `writer` counts from 0. Who reads only some tensors need not read files of other ones: `part`
  // names the writer's file for such.
  CheckpointWriter(FileSystem& files, const CheckpointPlace& place, int writer,
                   std::string_view part = "");

  // Writes a box of a tensor: its elements in row-major order. Each element of a tensor is written
  // once, by any writer. '/' in a name makes groups; '[' is not allowed.
  void add(const std::string& name, DType dtype, const std::vector<int64_t>& shape, const Box& box,
           std::span<const std::byte> bytes);
  // A text, such as a tokenizer file, as a tensor of u8; `Checkpoint::text` reads it.
  void add_text(const std::string& name, std::string_view text);
  // Closes the file; it is on the disk when this returns.
  ShardSummary finish();

 private:
  FileSystem& files_;
  std::string path_;
  Hdf5Writer hdf5_;
  StoredTensors tensors_;
};

struct CommitOptions {
  Json metadata = Json::object();  // kept in the manifest
  int keep = 2;                    // checkpoints to leave, this one included; at least 1
  bool best = false;               // the link ROOT/best shall point here
  std::string loaded = "";         // a checkpoint that stays, by path; "" for none
};

// Writes the manifest, gives the directory its name, moves ROOT/last (and ROOT/best) to it, and
// removes older checkpoints beyond `keep`, never the best nor the loaded one. Returns its path:
// ROOT/step-000001200, or step-000001200.2 and so on if that is taken.
std::string commit_checkpoint(FileSystem& files, const CheckpointPlace& place,
                              std::vector<ShardSummary> shards, const CommitOptions& options);

// Removes the temporary directory, as well as it can.
void abandon_checkpoint(FileSystem& files, const CheckpointPlace& place);

struct CheckpointName {
  std::string path;
  int64_t step = 0;
  int64_t generation = 1;  // of several with the same step the largest is the newest
};

// What a name such as step-000001200 or step-000001200.2 says, without a path; only names that
// commit_checkpoint makes.
std::optional<CheckpointName> parse_checkpoint_name(std::string_view name);

// The checkpoints in ROOT, newest first, by their names alone. None if ROOT is not there.
std::vector<CheckpointName> list_checkpoints(FileSystem& files, const std::string& root);

}  // namespace heddle
