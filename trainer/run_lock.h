// One training job at a time in a run folder. Rank 0 has the lock for as long as the job lives, so
// a second start, or one while ranks of a killed job are still about, mixes nothing.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/io/file_lock.h"
#include "framework/io/file_system.h"
#include "trainer/run_folder.h"

namespace heddle {

// What ranks of a killed job take to end, and more.
inline constexpr std::chrono::milliseconds kRunLockPatience{10'000};

class RunLock {
 public:
  // Makes the folder if it is not there. Collective. Throws Error(kInput) on every rank if another
  // job has the lock and keeps it for `patience`.
  RunLock(FileSystem& files, Communicator& world, const RunFolder& folder,
          std::chrono::milliseconds patience = kRunLockPatience);

  // Of a folder that cannot be locked.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  // On rank 0: who has it, or "" if it is ours or there are no locks.
  std::string take(const RunFolder& folder, std::chrono::milliseconds patience);

  std::unique_ptr<FileLock> lock_;
  std::vector<std::string> warnings_;
};

}  // namespace heddle
