// Fingerprints of a model's parameters: equal on two runs exactly if all bits are.
#pragma once

#include <string>

#include "framework/io/json.h"
#include "framework/nn/arena.h"

namespace heddle {

// xxh3-128 of all values in the order of the visit.
std::string hash_parameters(const ParameterArena& arena);
// The same for each parameter: {"encoder.embeddings.word.weight": "…", …}.
Json hash_each_parameter(const ParameterArena& arena);

}  // namespace heddle
