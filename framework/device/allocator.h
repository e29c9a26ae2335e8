// Memory for tensors: blocks are kept and handed out again, so that a training step, whose tensors
// have nearly the same sizes as the last step's, asks the operating system for nothing.
//
// Blocks are aligned to 64 bytes (2 MiB from 4 MiB on, where huge pages help). Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace heddle {

struct MemoryStatistics {
  int64_t in_use = 0;      // bytes of blocks that are handed out
  int64_t high_water = 0;  // the most that `in_use` has been
  int64_t kept = 0;        // bytes of free blocks
};

// A block of at least `bytes` bytes, contents undefined; returned to the pool when the last owner
// lets go. 0 bytes give a null pointer. Throws std::bad_alloc when the system has no more.
std::shared_ptr<std::byte> allocate(int64_t bytes);

MemoryStatistics memory_statistics();

// Gives the free blocks back to the system.
void release_kept_memory();

}  // namespace heddle
