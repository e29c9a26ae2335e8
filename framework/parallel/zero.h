// ZeRO stage 1 (Rajbhandari et al. 2020): the ranks that hold the same parameters share the
// optimizer's state. Each owns a range of one flat block, updates the weights of that range, and
// gives them to all.
//
//   const std::vector<int64_t> bounds = owned_bounds(size, group.size());
//   update(bounds[rank], bounds[rank + 1]);
//   all_gather_owned(group, bounds, {{.offset = 0, .values = weights}, …});
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/comm/communicator.h"

namespace heddle {

// Rank r owns [bounds[r], bounds[r + 1]) of `size` floats: as equal parts as can be, bounds on
// cache lines.
std::vector<int64_t> owned_bounds(int64_t size, int ranks);

// Values that lie together from `offset` of the flat block on.
struct FlatPiece {
  int64_t offset = 0;
  std::span<float> values;
};

// Every piece's values become those of the elements' owners. `pieces` ascend; they and `bounds` are
// the same on every rank. Collective.
void all_gather_owned(Communicator& group, std::span<const int64_t> bounds,
                      std::span<const FlatPiece> pieces);

}  // namespace heddle
