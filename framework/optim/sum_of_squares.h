// The sum of squares of a gradient in an order that no mesh changes: blocks of 65,536 elements of
// the whole tensor, in double; who needs one number adds the blocks by the tree.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/device/device.h"

namespace heddle {

constexpr int64_t kSquareBlock = 65536;

namespace kernels {

// The sums of the blocks that `values`, elements [begin, begin + size) of the whole tensor, touch,
// from block begin / 65,536 on. A block that is touched in part has the sum of that part.
std::vector<double> sum_of_squares(Cpu, std::span<const float> values, int64_t begin);

}  // namespace kernels
}  // namespace heddle
