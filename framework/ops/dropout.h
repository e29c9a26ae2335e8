// Dropout (Srivastava et al. 2014) whose mask is never stored: forward and backward draw the same
// numbers, keyed by what the row is in the data set. So neither packing, nor the mesh, nor a resume
// can change it.
//
//   y = dropout(x, {.p = 0.1f, .seed = seed, .step = step, .layer = 3, .row_keys = keys});
#pragma once

#include <cstdint>

#include "framework/autograd/record.h"

namespace heddle {

struct Dropout {
  float p = 0;        // each element is zero with this probability, in [0, 1); others / (1 - p)
  uint64_t seed = 0;  // of the run
  int64_t step = 0;   // of the optimiser
  int32_t layer = 0;  // each place of a model that drops has a number of its own
  Tensor row_keys{};  // i64 [rows]: (sample's index in the data set << 16) | position in it

  bool active() const { return p > 0; }
};

// x [rows, features] -> the same shape. With p == 0 it is x itself. p counts in units of 1 /
// 65,536. Feature f of a row is kept or dropped by 16 bits of Philox(key (seed, kDropout, layer),
// counter (row key, step, (f / 128) * 16 + f % 16)): the upper ones of word (f % 64) / 16 in the
// first half of 128 features, the lower ones in the second. So vectors of any width draw them in
// order.
Tensor dropout(const Tensor& x, const Dropout& options);

// Throws unless `options` fits a tensor of so many rows.
void check_dropout(const Dropout& options, int64_t rows, const char* op);

namespace kernels {
// y = mask(x) / (1 - p); the gradient is the same function of dy.
void dropout(Cpu, const Tensor& x, const Dropout& options, Tensor& y);
}  // namespace kernels

}  // namespace heddle
