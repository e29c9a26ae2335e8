// Where the elements of a parameter's shard lie in the whole tensor, and back.
//
//   for (const ShardBox& box : shard_boxes(parameter)) {
//     file.read(name, box.begin, box.extent, local + box.offset);   // a box of the whole tensor
//   }
//   for_each_run(parameter, [&](ShardRun run) {
//     std::copy_n(whole + run.whole, run.count, local + run.local);
//   });
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "framework/nn/parameter.h"

namespace heddle {

// An axis-parallel part of the whole tensor, one number an axis. Its elements lie in the shard's
// memory in row-major order, together, from `offset` on.
struct ShardBox {
  std::vector<int64_t> begin, extent;
  int64_t offset = 0;
  int64_t numel = 0;
};

// The boxes of elements [first, last) of the shard's memory, in its order; none without elements.
// A whole shard is one box, or `blocks` boxes of dim 0. (Blocks along a later dim: one box for each
// block of each row before it.)
std::vector<ShardBox> shard_boxes(const Parameter& parameter, int64_t first, int64_t last);
std::vector<ShardBox> shard_boxes(const Parameter& parameter);

// `count` elements that lie together in the shard's memory and in the whole tensor.
struct ShardRun {
  int64_t local, whole, count;
};

// Calls `visit` for the runs that the shard consists of, in ascending order of both.
void for_each_run(const Parameter& parameter, const std::function<void(ShardRun)>& visit);

}  // namespace heddle
