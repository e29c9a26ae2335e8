// What all ranks must agree on once a step, in one message of 64 bytes.
//
//   const Agreement all = agree(world, {.step = step, .stop = signals.received() != 0,
//                                       .non_finite = !std::isfinite(norm), .hash = parameters});
//   if (all.stop) save_and_leave();
#pragma once

#include <cstdint>

#include "framework/comm/communicator.h"

namespace heddle {

struct StepReport {
  int64_t step = 0;
  bool stop = false;        // asked to stop at the end of this step
  bool non_finite = false;  // a loss or gradient is not finite
  int error = 0;            // an exit code; 0: none
  uint64_t hash = 0;  // of what must be equal everywhere; 0 on all ranks if nothing is compared
};

struct Agreement {
  bool stop = false;        // any rank's
  bool non_finite = false;  // any rank's
  int error = 0;            // the largest; 0: none
  int error_rank = -1;      // the lowest rank that has it
  bool hashes_equal = true;
};

// Collective: the same answer on every rank. Throws Error(kInternal) if ranks are at different
// steps.
Agreement agree(Communicator& group, const StepReport& mine);

}  // namespace heddle
