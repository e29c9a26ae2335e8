// A panel of a weight, columns of which are side by side: b [depth, columns] in row-major order.
// Where that is the layout that a library's products want, copying it ourselves takes the time of
// reading the weight once; the library's own reorders take two to four times as long.
#pragma once

#include <cstdint>

namespace heddle::kernels {

// to[k * columns + n] = from[n * depth + k]: the weight [columns, depth] of a forward product.
void transpose_panel(const float* from, int64_t columns, int64_t depth, float* to);

// to[k * columns + n] = from[k * stride + n]: columns of a weight [depth, stride].
void copy_panel(const float* from, int64_t columns, int64_t depth, int64_t stride, float* to);

}  // namespace heddle::kernels
