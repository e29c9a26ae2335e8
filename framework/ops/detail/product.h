// Products of f32 by a Linear's weight. The kernel is our own: each element is one chain of fused
// multiply-adds over the depth, in order, so its bits depend on its row and its column alone, not
// on the rows beside it, the sizes of the blocks, or the width of the processor's vectors.
//
// A weight is read in panels of some columns, which lie side by side for each step of the depth:
//
//   const int64_t most = product_columns();
//   pack_panel(weight, {.columns = most, .depth = depth}, panel);
//   product({x, rows, depth, panel, panel_width(most), most, y, stride});
#pragma once

#include <cstdint>

namespace heddle::kernels {

// Columns of a panel: as many as the registers hold sums of. The last of a weight may have fewer.
int64_t product_columns();
// Floats of a row of such a panel: whole vectors, filled up with zeros.
int64_t panel_width(int64_t columns);

struct PlainPanel {
  int64_t columns = 0;
  int64_t depth = 0;
  // 0: element (k, n) at n * depth + k, the weight [columns, depth] of a forward product. Else: at
  // k * stride + n, the same weight in the product with dy.
  int64_t stride = 0;
};

void pack_panel(const float* from, const PlainPanel& shape, float* to);

struct Product {
  const float* x = nullptr;  // [rows, depth]
  int64_t rows = 0;
  int64_t depth = 0;
  const float* panel = nullptr;
  int64_t step = 0;  // from a row of the panel to the next
  int64_t columns = 0;
  float* y = nullptr;  // [rows, columns], rows `stride` apart
  int64_t stride = 0;
};

// y = x · panel.
void product(const Product& p);

}  // namespace heddle::kernels
