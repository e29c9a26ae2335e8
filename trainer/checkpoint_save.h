// Saving a checkpoint: at once, or while training goes on.
//
//   save_checkpoint(files, world, {.root = "runs/sst2/checkpoints", .step = 500, …}, contents);
//
//   CheckpointSave save(files, world, options, contents, CheckpointSave::kInBackground);
//   while (!save.poll()) train_a_step();        // the parameters may change
//   save.wait();                                // instead of polling: until it is done
//
// In the background each rank copies its share at the start, and one thread writes the copy. Ranks
// agree between the phases (prepare, write, commit), in `poll` and `wait` alone: the thread touches
// files only. Nothing else may use HDF5 files of this process meanwhile for long: a lock makes them
// take turns.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "framework/io/checkpoint_writer.h"
#include "trainer/checkpoint_pieces.h"
#include "trainer/checkpointing.h"

namespace heddle {

class CheckpointSave {
 public:
  enum class When : uint8_t { kInPlace, kInBackground };

  // Collective, like all that follows. `files`, `world` and the model must outlive this; the rest
  // of `contents` must where the save is in place.
  CheckpointSave(FileSystem& files, Communicator& world, const SaveOptions& options,
                 const CheckpointContents& contents, When when);
  // Waits for this rank's thread. What was not done is left behind as a temporary folder, which the
  // next save removes.
  ~CheckpointSave() = default;
  CheckpointSave(const CheckpointSave&) = delete;
  CheckpointSave& operator=(const CheckpointSave&) = delete;

  int64_t step() const { return place_.step; }
  bool best() const { return options_.best; }
  // Bytes that this rank holds in memory for it.
  int64_t bytes_held() const { return copy_.defined() ? copy_.bytes() : 0; }

  // True once the checkpoint is there. Never waits for a disk. Throws Error on every rank alike if
  // any rank failed; the save is then over and the checkpoints that were there are as before.
  bool poll();
  void wait();

 private:
  enum class Phase : uint8_t { kPrepare, kWrite, kCommit, kDone };

  void copy();
  void start(std::function<void()> job);
  void write();
  bool advance();

  FileSystem& files_;
  Communicator& world_;
  CheckpointPlace place_;
  SaveOptions options_;
  When when_;
  WritingShare share_;
  Tensor copy_;  // of the share's values, in the background
  std::map<std::string, std::string> texts_;
  Json metadata_;
  Phase phase_ = Phase::kPrepare;
  std::vector<ShardSummary> mine_;
  std::future<void> job_;  // last: waited for first
};

// In place. Throws like CheckpointSave::wait.
void save_checkpoint(FileSystem& files, Communicator& world, const SaveOptions& options,
                     const CheckpointContents& contents);

}  // namespace heddle
