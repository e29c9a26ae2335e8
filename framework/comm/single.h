// The group of one rank: no library, no start-up time.
#pragma once

#include <memory>

#include "framework/comm/communicator.h"

namespace heddle {

std::unique_ptr<Communicator> make_single();

}  // namespace heddle
