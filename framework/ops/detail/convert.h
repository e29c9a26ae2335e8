// Between the element types of products' operands, n elements or whole rows at a time.
#pragma once

#include <cstdint>

#include "framework/core/dtype.h"

namespace heddle::kernels {

// To nearest, ties to even.
void convert(const float* from, BFloat16* to, int64_t n);
void convert(const BFloat16* from, float* to, int64_t n);

// A row of 8-bit integers and what one of them is worth: from[i] is about to[i] * scale, with the
// row's greatest magnitude at 127. A row of zeros has the scale 0; what is not finite becomes 0 and
// makes the scale NaN, so that it is not lost.
float quantize(const float* from, int8_t* to, int64_t n);
float quantize(const BFloat16* from, int8_t* to, int64_t n);

void convert(const int8_t* from, float* to, int64_t n);

// to[i] = from[i] * row_scale * column_scales[i]. The two may be the same memory.
void dequantize(const int32_t* from, float row_scale, const float* column_scales, float* to,
                int64_t n);
void dequantize(const float* from, float row_scale, const float* column_scales, float* to,
                int64_t n);

}  // namespace heddle::kernels
