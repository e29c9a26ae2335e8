#include "framework/device/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace heddle {
namespace {

constexpr int64_t kHuge = int64_t{4} << 20;
constexpr int64_t kLarge = int64_t{64} << 10;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kSmallPage = 4096;

size_t round_up(size_t size, size_t step) {
  return (size + step - 1) / step * step;
}

// Four sizes an octave: at most a quarter of a block is unused, and nearby sizes share blocks. The
// sizes of a step's tensors hover about round numbers (1,024 tokens of a batch on this rank), so
// the larger classes end a thirty-second above them.
int64_t size_class(int64_t bytes) {
  if (bytes <= 256) return 256;
  const int64_t spare = bytes < kLarge ? 0 : 1;
  const int64_t round = (bytes * 32 + 31 + spare) / (32 + spare);
  const auto step = std::bit_floor(static_cast<size_t>(round - 1)) / 4;
  return static_cast<int64_t>(round_up(static_cast<size_t>(round), step)) / 32 * (32 + spare);
}

std::byte* take_from_system(int64_t size) {
  const size_t alignment = size >= kHuge ? kHugePage : 64;
  // Not to whole huge pages: of addresses, too, there may be few (ulimit -d).
  const size_t rounded = round_up(static_cast<size_t>(size), size >= kHuge ? kSmallPage : 64);
  void* block = nullptr;
  if (posix_memalign(&block, alignment, rounded) != 0) throw OutOfMemory(size);
  if (size >= kHuge) madvise(block, rounded, MADV_HUGEPAGE);
  return static_cast<std::byte*>(block);
}

// Blocks that are no multiple of a huge page, one after another on huge pages.
class Slabs {
 public:
  static bool serves(int64_t size) { return size >= kLarge && size < kHuge; }

  std::byte* take(int64_t size) {
    if (!open_ || slabs_[open_].used + size > kSlab) {
      open_ = take_from_system(kSlab);
      slabs_[open_] = {};
    }
    Slab& slab = slabs_[open_];
    std::byte* block = open_ + slab.used;
    slab.used += size;
    ++slab.blocks;
    return block;
  }

  // A slab goes back to the system with its last block.
  void give(std::byte* block) {
    const auto slab = std::prev(slabs_.upper_bound(block));
    if (--slab->second.blocks > 0) return;
    if (slab->first == open_) open_ = nullptr;
    std::free(slab->first);
    slabs_.erase(slab);
  }

 private:
  static constexpr int64_t kSlab = int64_t{16} << 20;

  struct Slab {
    int64_t used = 0;
    int64_t blocks = 0;
  };
  std::map<std::byte*, Slab> slabs_;  // by their first byte
  std::byte* open_ = nullptr;         // which has room, perhaps
};

// Pages of zeros, `size` bytes from a border of huge pages on.
std::byte* map_zeros(size_t size) {
  void* mapped =
      mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw OutOfMemory(static_cast<int64_t>(size));
  auto* begin = static_cast<std::byte*>(mapped);
  const size_t before =
      round_up(reinterpret_cast<uintptr_t>(begin), kHugePage) - reinterpret_cast<uintptr_t>(begin);
  if (before > 0) munmap(begin, before);
  if (before < kHugePage) munmap(begin + before + size, kHugePage - before);
  madvise(begin + before, size, MADV_HUGEPAGE);
  return begin + before;
}

// Under AddressSanitizer only the bytes that were asked for may be touched, and none of a kept
// block; elsewhere this does nothing.
void allow_only([[maybe_unused]] const std::byte* memory, [[maybe_unused]] int64_t bytes,
                [[maybe_unused]] int64_t size) {
#ifdef __SANITIZE_ADDRESS__
  if (!memory) return;
  ASAN_UNPOISON_MEMORY_REGION(memory, static_cast<size_t>(bytes));
  ASAN_POISON_MEMORY_REGION(memory + bytes, static_cast<size_t>(size - bytes));
#endif
}

thread_local MemoryPlan* current_plan = nullptr;

}  // namespace

class MemoryPool {
 public:
  struct Block {
    std::byte* memory;  // null on paper
    int64_t size;
    int64_t touched;  // the most that was asked of it
    int64_t bytes;    // asked for now
  };

  explicit MemoryPool(bool on_paper) : on_paper_(on_paper) {}

  Block take(int64_t bytes) {
    const int64_t size = size_class(bytes);
    std::lock_guard lock(mutex_);
    // The smallest kept block that is large enough without wasting half of it.
    for (auto it = kept_.lower_bound(size); it != kept_.end() && it->first <= size * 2; ++it) {
      if (it->second.empty()) continue;
      Block block = it->second.back();
      const int64_t more = std::max<int64_t>(0, bytes - block.touched);
      if (!has_room(more)) continue;
      it->second.pop_back();
      statistics_.kept -= block.size;
      block.touched += more;
      block.bytes = bytes;
      count(bytes, more);
      allow_only(block.memory, bytes, size);
      return block;
    }
    require_room(bytes);
    const Block block{on_paper_ ? nullptr : take_anew(size), size, bytes, bytes};
    allow_only(block.memory, bytes, size);
    count(bytes, bytes);
    return block;
  }

  void give(const Block& block) {
    std::lock_guard lock(mutex_);
    allow_only(block.memory, 0, block.size);
    kept_[block.size].push_back(block);
    statistics_.kept += block.size;
    count(-block.bytes, 0);
  }

  void release() {
    std::lock_guard lock(mutex_);
    release_kept();
  }

  void count_outside(int64_t bytes) {
    std::lock_guard lock(mutex_);
    if (bytes > 0) require_room(bytes);
    count(bytes, bytes);
  }

  void set_limit(int64_t bytes) {
    std::lock_guard lock(mutex_);
    limit_ = bytes;
  }

  void reset_high_water() {
    std::lock_guard lock(mutex_);
    statistics_.high_water = statistics_.in_use;
    statistics_.held_high_water = statistics_.held;
  }

  MemoryStatistics statistics() {
    std::lock_guard lock(mutex_);
    return statistics_;
  }

 private:
  bool has_room(int64_t bytes) const { return limit_ == 0 || statistics_.held + bytes <= limit_; }

  void require_room(int64_t bytes) {
    if (has_room(bytes)) return;
    release_kept();
    if (!has_room(bytes)) throw MemoryLimitReached(bytes, statistics_.in_use, limit_);
  }

  void release_kept() {
    for (auto& [size, blocks] : kept_) {
      for (const Block& block : blocks) {
        allow_only(block.memory, block.size, block.size);
        if (block.memory && Slabs::serves(size))
          slabs_.give(block.memory);
        else
          std::free(block.memory);
        statistics_.kept -= size;
        statistics_.held -= block.touched;
      }
    }
    kept_.clear();
  }

  std::byte* take_anew(int64_t size) {
    return Slabs::serves(size) ? slabs_.take(size) : take_from_system(size);
  }

  void count(int64_t in_use, int64_t held) {
    MemoryStatistics& s = statistics_;
    s.in_use += in_use;
    s.held += held;
    s.high_water = std::max(s.high_water, s.in_use);
    s.held_high_water = std::max(s.held_high_water, s.held);
  }

  const bool on_paper_;
  std::mutex mutex_;
  std::map<int64_t, std::vector<Block>> kept_;  // by size
  Slabs slabs_;
  MemoryStatistics statistics_;
  int64_t limit_ = 0;  // of bytes held; 0: none
};

namespace {

std::string in_words(int64_t bytes) {
  char text[32];
  const bool few = bytes < 1 << 20;
  std::snprintf(text, sizeof text, few ? "%.1f KiB" : "%.1f MiB",
                static_cast<double>(bytes) / (few ? 1 << 10 : 1 << 20));
  return text;
}

// Part of the process like malloc itself; never destroyed, since tensors may outlive main.
MemoryPool& real_pool() {
  static MemoryPool* const instance = new MemoryPool(false);
  return *instance;
}

}  // namespace

OutOfMemory::OutOfMemory(int64_t asked)
    : text_("out of memory: the system has no " + in_words(asked) + " more") {}

MemoryLimitReached::MemoryLimitReached(int64_t asked, int64_t in_use, int64_t limit)
    : OutOfMemory("out of memory: " + in_words(asked) + " more were asked for with " +
                  in_words(in_use) + " in use. The limit is " + in_words(limit)) {}

void set_memory_limit(int64_t bytes) {
  real_pool().set_limit(bytes);
}

std::shared_ptr<std::byte> allocate(int64_t bytes) {
  if (bytes == 0) return nullptr;
  const MemoryPool::Block block = real_pool().take(bytes);
  return {block.memory, [block](std::byte*) { real_pool().give(block); }};
}

std::shared_ptr<std::byte> allocate_zeroed(int64_t bytes) {
  if (bytes < kHuge) {
    std::shared_ptr<std::byte> block = allocate(bytes);
    if (block) std::memset(block.get(), 0, static_cast<size_t>(bytes));
    return block;
  }
  const size_t size = round_up(static_cast<size_t>(bytes), kSmallPage);
  CountedMemory counted(bytes);
  return {map_zeros(size),
          [size, counted = std::move(counted)](std::byte* block) { munmap(block, size); }};
}

void expect_few_writes(std::span<std::byte> bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data());
  const uintptr_t first = round_up(begin, kSmallPage);
  const uintptr_t last = (begin + bytes.size()) / kSmallPage * kSmallPage;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_NOHUGEPAGE);
}

MemoryStatistics memory_statistics() {
  return real_pool().statistics();
}

void reset_high_water() {
  real_pool().reset_high_water();
}

void release_kept_memory() {
  real_pool().release();
}

CountedMemory::CountedMemory(int64_t bytes) : bytes_(bytes) {
  real_pool().count_outside(bytes);
}

CountedMemory::CountedMemory(CountedMemory&& other) noexcept
    : bytes_(std::exchange(other.bytes_, 0)) {}

CountedMemory& CountedMemory::operator=(CountedMemory&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

CountedMemory::~CountedMemory() {
  if (bytes_ != 0) real_pool().count_outside(-bytes_);
}

MemoryPlan::MemoryPlan() : pool_(std::make_shared<MemoryPool>(true)), outer_(current_plan) {
  current_plan = this;
}

MemoryPlan::~MemoryPlan() {
  current_plan = outer_;
}

MemoryStatistics MemoryPlan::statistics() const {
  return pool_->statistics();
}

std::shared_ptr<std::byte> allocate_planned(int64_t bytes) {
  if (bytes == 0 || !current_plan) return nullptr;
  return current_plan->allocate(bytes);
}

std::shared_ptr<std::byte> MemoryPlan::allocate(int64_t bytes) {
  const MemoryPool::Block block = pool_->take(bytes);
  return {block.memory, [block, pool = pool_](std::byte*) { pool->give(block); }};
}

}  // namespace heddle
