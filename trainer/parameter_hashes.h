// Fingerprints of a model's parameters: equal on two runs exactly if all bits are, on any mesh.
#pragma once

#include <string>

#include "framework/comm/communicator.h"
#include "framework/io/json.h"
#include "framework/nn/arena.h"

namespace heddle {

struct ParameterHashes {
  std::string all;             // xxh3-128 of all whole tensors in the order of the visit
  Json each = Json::object();  // of each: {"encoder.embeddings.word.weight": "…", …}
};

// Whole tensors in their logical order, whose shards `tensor`'s ranks hold; on its rank 0, nothing
// elsewhere. Needs 4 MB beside the parameters. Collective in `tensor`.
ParameterHashes hash_parameters(const ParameterArena& arena, Communicator& tensor);

}  // namespace heddle
