// Which precision a job takes when nobody says one, and what to say of one that was a bad idea.
#pragma once

#include <optional>
#include <string>

#include "framework/comm/communicator.h"
#include "framework/core/precision.h"

namespace heddle {

// fastest_safe_precision() of the slowest rank, on all of them. Collective.
Precision fastest_safe_precision(Communicator& world);

// What to warn of where this processor has no fast products of `precision`; else nothing.
std::optional<std::string> slow_precision(Precision precision);

}  // namespace heddle
