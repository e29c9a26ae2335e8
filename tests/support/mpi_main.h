// GoogleTest under mpirun: mpi_main.cpp is the main, and a test asks here for its ranks.
//
//   TEST(Barrier, AllRanksPass) { heddle::test_world().barrier(); }
//
// All ranks run the same tests in the same order. A test that fails on one rank fails on all; one
// that does not end ends the job with 124.
#pragma once

#include "framework/comm/communicator.h"

namespace heddle {

// All ranks of the job.
Communicator& test_world();

}  // namespace heddle
