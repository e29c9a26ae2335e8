// The reduction of gradients: the tree in shared memory and by messages against MPI_Allreduce.
//
//   mpirun -n 2 build/release/tests/benchmarks/allreduce_speed
//
// Prints one line a size: gigabytes of gradients summed a second, medians of alternating rounds.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <vector>

#include "framework/comm/collectives.h"
#include "framework/comm/mpi_environment.h"
#include "framework/parallel/tree_reduce.h"

namespace heddle {
namespace {

constexpr int kRounds = 21;

double seconds_of(Communicator& world, const std::function<void()>& call) {
  world.barrier();
  const auto begin = std::chrono::steady_clock::now();
  call();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  return all_reduce(world, taken.count(), Reduction::kMax);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure(Communicator& world, int64_t mebibytes) {
  const int64_t count = mebibytes * (1 << 20) / static_cast<int64_t>(sizeof(float));
  TreeReducer shared(world, count, {.canonical = false});
  TreeReducer messages(world, count, {.canonical = false, .shared_memory = false});
  std::vector<float> values(static_cast<size_t>(count));
  const std::vector<std::function<void()>> calls = {
      [&] { shared.all_reduce(shared.buffer()); },
      [&] { shared.all_reduce(values); },
      [&] { messages.all_reduce(messages.buffer()); },
      [&] { world.all_reduce(std::span<float>(values), Reduction::kSum); },
  };
  std::vector<std::vector<double>> taken(calls.size());
  for (int round = 0; round < kRounds; ++round) {
    for (size_t c = 0; c < calls.size(); ++c) taken[c].push_back(seconds_of(world, calls[c]));
  }
  if (world.rank() != 0) return;
  const double gigabytes = static_cast<double>(count) * sizeof(float) / 1e9;
  fmt::print("{:>5} MiB", mebibytes);
  for (const auto& t : taken) fmt::print(" {:>14.1f}", gigabytes / median(t));
  fmt::print("\n");
}

}  // namespace
}  // namespace heddle

int main() {
  const heddle::MpiEnvironment environment;
  const auto world = environment.world();
  if (world->rank() == 0) {
    fmt::print("{} ranks, GB/s\n{:>9} {:>14} {:>14} {:>14} {:>14}\n", world->size(), "", "in arena",
               "through arena", "messages", "MPI_Allreduce");
  }
  for (const int64_t mebibytes : {1, 4, 16, 64}) heddle::measure(*world, mebibytes);
}
