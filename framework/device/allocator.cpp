#include "framework/device/allocator.h"

#include <sys/mman.h>

#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace heddle {
namespace {

constexpr int64_t kHuge = int64_t{4} << 20;

// Four sizes an octave: at most a fifth of a block is unused, and nearby sizes share blocks.
int64_t size_class(int64_t bytes) {
  if (bytes <= 256) return 256;
  const int64_t step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes - 1))) / 4;
  return (bytes + step - 1) / step * step;
}

class Pool {
 public:
  std::byte* take(int64_t bytes) {
    const int64_t size = size_class(bytes);
    std::lock_guard lock(mutex_);
    // The smallest kept block that is large enough without wasting half of it.
    for (auto it = kept_.lower_bound(size); it != kept_.end() && it->first <= size * 2; ++it) {
      if (it->second.empty()) continue;
      std::byte* block = it->second.back();
      it->second.pop_back();
      count(it->first, -it->first);
      sizes_[block] = it->first;
      return block;
    }
    const size_t alignment = size >= kHuge ? size_t{2} << 20 : 64;
    const size_t rounded = (static_cast<size_t>(size) + alignment - 1) / alignment * alignment;
    auto* block = static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
    if (!block) throw std::bad_alloc();
    if (size >= kHuge) madvise(block, rounded, MADV_HUGEPAGE);
    count(size, 0);
    sizes_[block] = size;
    return block;
  }

  void give(std::byte* block) {
    std::lock_guard lock(mutex_);
    const auto it = sizes_.find(block);
    kept_[it->second].push_back(block);
    count(-it->second, it->second);
    sizes_.erase(it);
  }

  void release() {
    std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : kept_) {
      for (std::byte* block : blocks) {
        std::free(block);
        statistics_.kept -= size;
      }
    }
    kept_.clear();
  }

  MemoryStatistics statistics() {
    std::lock_guard lock(mutex_);
    return statistics_;
  }

 private:
  void count(int64_t in_use, int64_t kept) {
    statistics_.in_use += in_use;
    statistics_.kept += kept;
    if (statistics_.in_use > statistics_.high_water) statistics_.high_water = statistics_.in_use;
  }

  std::mutex mutex_;
  std::map<int64_t, std::vector<std::byte*>> kept_;  // by size
  std::map<std::byte*, int64_t> sizes_;              // of blocks handed out
  MemoryStatistics statistics_;
};

// Part of the process like malloc itself; never destroyed, since tensors may outlive main.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

}  // namespace

std::shared_ptr<std::byte> allocate(int64_t bytes) {
  if (bytes == 0) return nullptr;
  return {pool().take(bytes), [](std::byte* block) { pool().give(block); }};
}

MemoryStatistics memory_statistics() {
  return pool().statistics();
}

void release_kept_memory() {
  pool().release();
}

}  // namespace heddle
