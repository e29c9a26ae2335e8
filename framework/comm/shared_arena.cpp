#include "framework/comm/shared_arena.h"

#include <immintrin.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "framework/core/error.h"
#include "framework/device/profile.h"

namespace heddle {
namespace {

constexpr int kSpins = 2000;       // looks before the core is given away: some 50 microseconds
constexpr int kLooksPerPoll = 64;  // looks between questions whether waiting is in vain

double mebibytes(double bytes) {
  return bytes / (1 << 20);
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

void check_shared_memory(const std::string& directory, int64_t bytes, int ranks) {
  struct statvfs info {};
  if (statvfs(directory.c_str(), &info) != 0) {
    throw Error(ExitCode::kIo,
                fmt::format("shared memory: cannot look at {}: {}", directory, strerror(errno)),
                fmt::format("mount a tmpfs there: mount -t tmpfs tmpfs {}", directory));
  }
  const double block = static_cast<double>(info.f_frsize);
  const double available = static_cast<double>(info.f_bavail) * block;
  if (static_cast<double>(bytes) <= available) return;
  throw Error(
      ExitCode::kIo,
      fmt::format("shared memory: {} has {:.1f} MiB free of {:.1f} MiB, but {} ranks on this node "
                  "share {:.1f} MiB",
                  directory, mebibytes(available),
                  mebibytes(static_cast<double>(info.f_blocks) * block), ranks,
                  mebibytes(static_cast<double>(bytes))),
      fmt::format("enlarge it (mount -o remount,size=SIZE {}; docker run --shm-size=SIZE), remove "
                  "what is left there, or start fewer ranks on a node",
                  directory));
}

}  // namespace heddle
