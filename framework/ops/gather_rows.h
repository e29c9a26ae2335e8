// One vector for each sequence of a packed batch.
//
//   Tensor cls = first_rows(hidden, segments);   // [S, H]
#pragma once

#include "framework/autograd/record.h"
#include "framework/ops/segments.h"

namespace heddle {

// x [T, H] -> [S, H]. No sequence may be empty.
Tensor first_rows(const Tensor& x, const Segments& segments);
Tensor last_rows(const Tensor& x, const Segments& segments);
Tensor mean_rows(const Tensor& x, const Segments& segments);

namespace kernels {
enum class Pooling { kFirst, kLast, kMean };
void gather_rows(Cpu, const Tensor& x, const Segments& segments, Pooling pooling, Tensor& y);
// Zero for rows that no sequence took.
void gather_rows_backward(Cpu, const Tensor& dy, const Segments& segments, Pooling pooling,
                          Tensor& dx);
}  // namespace kernels

}  // namespace heddle
