// Memory that all ranks of a node read and write: one part for each rank, and a barrier.
//
//   SharedArena arena = node.allocate_shared(bytes);
//   fill(arena.mine());
//   arena.barrier();                      // now every part is filled
//   read(arena.peer(1), arena.bytes(1));
//
// Made by Communicator::allocate_shared. A value that may be moved; the memory goes when the last
// rank has let go of it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace heddle {

// The state of a barrier; lies in shared memory and starts as zeros.
struct SpinBarrier {
  alignas(64) std::atomic<uint32_t> arrived{0};
  alignas(64) std::atomic<uint32_t> generation{0};
};
static_assert(std::atomic<uint32_t>::is_always_lock_free, "processes share these");

class SharedArena {
 public:
  struct Part {
    std::byte* data = nullptr;
    int64_t bytes = 0;
  };
  // What a back end hands over.
  struct Memory {
    std::vector<Part> parts;  // by rank, each aligned to 64 bytes
    SpinBarrier* barrier = nullptr;
    std::shared_ptr<void> owner;                    // lets go of the memory
    std::function<std::exception_ptr()> interrupt;  // why waiting is in vain; may be empty
  };

  // Parts begin on cache lines.
  static constexpr int64_t padded(int64_t bytes) { return (bytes + 63) / 64 * 64; }

  SharedArena() = default;
  SharedArena(int rank, Memory memory);
  SharedArena(SharedArena&&) = default;
  SharedArena& operator=(SharedArena&&) = default;

  int size() const { return static_cast<int>(memory_.parts.size()); }
  std::byte* mine() const { return peer(rank_); }
  std::byte* peer(int rank) const { return memory_.parts[static_cast<size_t>(rank)].data; }
  int64_t bytes(int rank) const { return memory_.parts[static_cast<size_t>(rank)].bytes; }

  // Waits for all ranks; what they wrote before it can be read after it. Spins for a moment and
  // then gives its core away between looks, so that more ranks than cores do not crawl.
  void barrier();
  // Waits in the same way until `done`, which looks at what other ranks write here.
  void wait(const std::function<bool()>& done);

 private:
  Memory memory_;
  int rank_ = 0;
  int spins_ = 0;
};

// An arena of one rank, in plain memory.
SharedArena private_arena(int64_t bytes);

// Throws Error(kIo), with sizes and what to do, unless the machine has `bytes` of memory free,
// which `ranks` ranks want to share: without this the first touch of the last page ends a rank.
void check_free_memory(int64_t bytes, int ranks);

}  // namespace heddle
