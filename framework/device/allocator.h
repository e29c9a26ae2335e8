// Memory for tensors: blocks are kept and handed out again, so that a training step, whose tensors
// have nearly the same sizes as the last step's, asks the operating system for nothing.
//
// Blocks are aligned to 64 bytes (2 MiB from 4 MiB on). All but small ones lie on huge pages: with
// small pages a virtual machine spends a fifth of a training step looking addresses up.
// Thread-safe.
//
// What a step would need is found out on paper, by the same allocator without memory behind it:
//
//   MemoryPlan plan;
//   Tensor y = model(batch);            // tensors on the meta device are counted while they live
//   plan.statistics().high_water;
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>

namespace heddle {

struct MemoryStatistics {
  int64_t in_use = 0;      // bytes that were asked for and not given back
  int64_t high_water = 0;  // the most that `in_use` has been
  int64_t kept = 0;        // bytes of free blocks
  // Bytes of all blocks, handed out or kept, as far as they were ever asked for: what the process
  // holds. And the most that it has held.
  int64_t held = 0;
  int64_t held_high_water = 0;
};

// A block of at least `bytes` bytes, contents undefined; returned to the pool when the last owner
// lets go. 0 bytes give a null pointer. Throws OutOfMemory when the system has no more, and
// MemoryLimitReached when set_memory_limit() allows no more.
std::shared_ptr<std::byte> allocate(int64_t bytes);

// The same, full of zero bytes. From 4 MiB on the block comes from the system and goes back there;
// its pages take no memory until they are written.
std::shared_ptr<std::byte> allocate_zeroed(int64_t bytes);

// Of a large zeroed block: few of these bytes, far apart, will be written, so that pages are to be
// small. To be said before the first write.
void expect_few_writes(std::span<std::byte> bytes);

class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(int64_t asked);  // of the system
  const char* what() const noexcept override { return text_.c_str(); }

 protected:
  explicit OutOfMemory(std::string text) : text_(std::move(text)) {}

 private:
  std::string text_;
};

class MemoryLimitReached : public OutOfMemory {
 public:
  MemoryLimitReached(int64_t asked, int64_t in_use, int64_t limit);
};

// From now on no more than so many bytes are held, here and by CountedMemory; free blocks are given
// back before anything is refused. 0: no limit.
void set_memory_limit(int64_t bytes);

MemoryStatistics memory_statistics();

// `in_use` becomes the high-water mark.
void reset_high_water();

// Gives the free blocks back to the system.
void release_kept_memory();

class MemoryPool;

// Bytes of tensors whose memory comes from elsewhere (shared between processes), counted in
// memory_statistics() for the life of this object. Throws MemoryLimitReached as allocate() does.
class CountedMemory {
 public:
  CountedMemory() = default;
  explicit CountedMemory(int64_t bytes);
  CountedMemory(CountedMemory&& other) noexcept;
  CountedMemory& operator=(CountedMemory&& other) noexcept;
  ~CountedMemory();

 private:
  int64_t bytes_ = 0;
};

// While it is alive, on this thread, allocate_planned() is counted in it; the innermost one counts.
// Its memory may outlive it.
class MemoryPlan {
 public:
  MemoryPlan();
  ~MemoryPlan();
  MemoryPlan(const MemoryPlan&) = delete;
  MemoryPlan& operator=(const MemoryPlan&) = delete;

  MemoryStatistics statistics() const;
  // A block on paper: the pointer is null, its owners are counted.
  std::shared_ptr<std::byte> allocate(int64_t bytes);

 private:
  std::shared_ptr<MemoryPool> pool_;
  MemoryPlan* outer_;
};

// A block of the plan that is alive; an empty pointer if there is none.
std::shared_ptr<std::byte> allocate_planned(int64_t bytes);

}  // namespace heddle
