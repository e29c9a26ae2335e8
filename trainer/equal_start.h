// Before a job does anything together: do its ranks mean the same?
//
//   require_equal_start(world, config, "auto");   // on all ranks
#pragma once

#include <string>

#include "framework/comm/communicator.h"
#include "trainer/config/schema.h"

namespace heddle {

// Throws Error(kInput) on every rank if the resolved configs, what to resume from or the versions
// of the program differ, with the first rank that has something else than rank 0, and the keys.
// Collective; a gather of eight bytes where all is well.
void require_equal_start(Communicator& world, const Config& config, const std::string& resume);

}  // namespace heddle
