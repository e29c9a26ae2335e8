// What of a checkpoint's tensors this rank holds, and which rank writes what of it.
//
//   std::vector<HeldPiece> held = held_weights(named_parameters(model));
//   const WritingShare share = share_writing(world, held);      // collective
//   for (const HeldPiece& piece : share.mine) …
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/io/box.h"
#include "framework/nn/module.h"
#include "framework/optim/optimizer.h"

namespace heddle {

// What the names of the optimizer's state begin with.
inline constexpr std::string_view kOptimizerPrefix = "optimizer/";

// A contiguous range of the memory of a shard of a tensor.
struct HeldPiece {
  std::string name;            // of the tensor, in the checkpoint
  const Parameter* parameter;  // its whole shape and the shard
  int64_t first = 0;           // of the shard's elements
  std::span<float> values;     // from `first` on
};

// "weights/NAME": every parameter with memory.
std::vector<HeldPiece> held_weights(const NamedParameters& parameters);
// "optimizer/STATE/NAME": the state of every trainable parameter.
std::vector<HeldPiece> held_states(const Optimizer& optimizer);

// A box of the whole tensor and where its elements are, in row-major order.
struct BoxOfPiece {
  Box box;
  std::span<float> values;
};

std::vector<BoxOfPiece> boxes_of(const HeldPiece& piece);

struct WritingShare {
  std::vector<HeldPiece> mine;  // largest first
  uint64_t bytes = 0;           // of all ranks together
};

// Ranks that hold the same piece share the writing: each piece goes to the one of them that has
// least so far. Pieces of two ranks must be the same or have no element in common. Collective.
WritingShare share_writing(Communicator& world, std::vector<HeldPiece> held);

}  // namespace heddle
