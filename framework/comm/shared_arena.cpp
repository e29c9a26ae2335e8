#include "framework/comm/shared_arena.h"

#include <immintrin.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "framework/core/error.h"
#include "framework/device/profile.h"

namespace heddle {
namespace {

constexpr int kSpins = 2000;       // looks before the core is given away: some 50 microseconds
constexpr int kLooksPerPoll = 64;  // looks between questions whether waiting is in vain

double mebibytes(int64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

}  // namespace

SharedArena::SharedArena(int rank, Memory memory) : memory_(std::move(memory)), rank_(rank) {
  // Of the machine, not of this process: mpirun binds a rank to few.
  const int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
  spins_ = size() > cores ? 0 : kSpins;
}

void SharedArena::barrier() {
  if (size() <= 1) return;
  SpinBarrier& b = *memory_.barrier;
  const uint32_t generation = b.generation.load(std::memory_order_acquire);
  if (b.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<uint32_t>(size())) {
    b.arrived.store(0, std::memory_order_relaxed);
    b.generation.fetch_add(1, std::memory_order_release);
    return;
  }
  wait([&] { return b.generation.load(std::memory_order_acquire) != generation; });
}

void SharedArena::wait(const std::function<bool()>& done) {
  const ProfiledStage span("wait for other ranks");
  for (int spin = 0; spin < spins_; ++spin) {
    if (done()) return;
    _mm_pause();
  }
  for (int look = 1; !done(); ++look) {
    sched_yield();
    if (look % kLooksPerPoll != 0 || !memory_.interrupt) continue;
    const std::exception_ptr reason = memory_.interrupt();
    if (done()) return;  // the last rank may have come, and gone on, in between
    if (reason) std::rethrow_exception(reason);
  }
}

SharedArena private_arena(int64_t bytes) {
  const auto size = static_cast<size_t>(SharedArena::padded(bytes + 1));  // never nothing
  auto* data = static_cast<std::byte*>(std::aligned_alloc(64, size));
  if (!data) throw std::bad_alloc();
  std::memset(data, 0, size);
  SharedArena::Memory memory;
  memory.parts = {{data, bytes}};
  memory.owner = std::shared_ptr<void>(data, std::free);
  return SharedArena(0, std::move(memory));
}

void check_free_memory(int64_t bytes, int ranks) {
  std::ifstream file("/proc/meminfo");
  int64_t available = std::numeric_limits<int64_t>::max();  // where nobody says
  for (std::string word; file >> word;) {
    if (word == "MemAvailable:" && file >> available) available *= 1024;
  }
  if (bytes <= available) return;
  throw Error(
      ExitCode::kIo,
      fmt::format("shared memory: {} ranks on this node share {:.1f} MiB, but {:.1f} MiB of "
                  "memory are free",
                  ranks, mebibytes(bytes), mebibytes(available)),
      "start fewer ranks on a node, or spread the model over more of them "
      "(parallel.tensor, parallel.zero: see heddle plan)");
}

}  // namespace heddle
