// The MPI back end: one rank a process. For MpiEnvironment and tests; needs MPI initialised.
#pragma once

#include <memory>
#include <string_view>

#include "framework/comm/communicator.h"

namespace heddle {

// All ranks of the job, on a communicator of its own.
std::unique_ptr<Communicator> make_mpi_world();

// Throws Error(kIo) with MPI's own text unless `code`, what `call` returned, is success.
void check_mpi(int code, std::string_view call);

}  // namespace heddle
