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
#include "framework/comm/mpi_environment.h"
#include "framework/comm/watchdog.h"
#include "framework/core/error.h"

namespace heddle {
namespace {

void run(Communicator& world, const std::string& fault) {
  Watchdog dog([&](const Watchdog::Silence& silence) {
    fmt::print(stderr, "rank {}: no progress for {:.1f} s in '{}', last collective {}\n",
               world.rank(), silence.seconds, silence.what, world.position());
    std::_Exit(static_cast<int>(ExitCode::kWatchdog));
  });
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
  }
  // The others are half in a collective of the library, half in a barrier of ours.
  if (world.rank() % 2 == 0) arena.barrier();
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
