// N ranks as N threads of one process: for tests (fast, clean under sanitizers, 64 ranks on 2
// cores) and for programs that want a mesh without MPI.
//
//   run_threads(4, [](Communicator& world) { world.barrier(); });
//
// A rank that throws, or ends while others wait for it, never leaves them hanging.
#pragma once

#include <functional>

#include "framework/comm/communicator.h"

namespace heddle {

struct ThreadsOptions {
  int ranks_per_node = 0;  // consecutive ranks that split_by_node puts together; 0: all
};

// Calls body(world) on `ranks` threads and waits for all. If ranks throw, the others are woken out
// of their collectives, and the exception of the rank that failed first is rethrown here.
// Collectives compare their signatures, and a rank that waits for one that has already returned
// throws Error(kInternal).
void run_threads(int ranks, const std::function<void(Communicator& world)>& body,
                 ThreadsOptions options = {});

}  // namespace heddle
