// A program whose ranks go wrong in the way that its argument names; run by mpi_faults_test.cpp.
// Its main treats exceptions as the launcher does.
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "framework/comm/collectives.h"
#include "framework/comm/hang_report.h"
#include "framework/comm/mpi_environment.h"
#include "framework/comm/watchdog.h"
#include "framework/core/error.h"

namespace heddle {
namespace {

void run(Communicator& world, const std::string& fault) {
  const MainStack stack;
  Watchdog dog(
      [&](const Watchdog::Silence& silence) {
        fmt::print(stderr, "{}", hang_report(world, silence, &stack));
        std::fflush(stderr);
        await_other_reports(world);
        std::_Exit(static_cast<int>(ExitCode::kWatchdog));
      },
      world.board());
  const auto node = world.split_by_node();
  SharedArena arena = node->allocate_shared(1 << 20);
  arena.barrier();
  if (fault == "none") return;
  if (world.rank() == 1) {
    if (fault == "throw") throw Error(ExitCode::kIo, "rank 1 lost its disk");
    if (fault == "kill") std::raise(SIGKILL);
    if (fault == "leave") std::_Exit(3);
    if (fault == "hang") {
      dog.beat("reading data", std::chrono::milliseconds(300));
      std::this_thread::sleep_for(std::chrono::minutes(10));
    }
    if (fault == "stop") std::raise(SIGSTOP);
    if (fault == "mix up") all_reduce(world, int64_t{1}, Reduction::kSum, "rows");
  }
  if (fault == "stop") dog.beat("step", std::chrono::milliseconds(1000));
  if (fault == "mix up") dog.beat("step", std::chrono::seconds(20));
  if (fault == "split") {
    // Two groups, entered by rank 1 in another order than by its peers.
    const auto rows = world.split(world.rank() / 2, world.rank());
    const auto columns = world.split(world.rank() % 2, world.rank());
    dog.beat("step", std::chrono::milliseconds(1000));
    Communicator& first = world.rank() == 1 ? *columns : *rows;
    Communicator& second = world.rank() == 1 ? *rows : *columns;
    if (world.rank() == 3) std::this_thread::sleep_for(std::chrono::minutes(10));
    first.barrier("first");
    second.barrier("second");
  }
  // Some wait in a collective of the library, some in a barrier of ours.
  if (world.rank() % 4 == 2) arena.barrier();
  world.barrier("end of step");
}

int guarded_main(const std::string& fault) {
  const MpiEnvironment environment;
  const auto world = environment.world();
  try {
    run(*world, fault);
    return 0;
  } catch (const Error& e) {
    fmt::print(stderr, "[rank {}/{}] {}\n", world->rank(), world->size(), e.what());
    world->abort(static_cast<int>(e.code()));
  }
  return static_cast<int>(ExitCode::kInternal);  // not reached
}

}  // namespace
}  // namespace heddle

int main(int argc, char** argv) {
  try {
    return heddle::guarded_main(argc > 1 ? argv[1] : "none");
  } catch (const heddle::Error& e) {
    fmt::print(stderr, "{}\n{}\n", e.what(), e.hint());
    return static_cast<int>(e.code());
  }
}
