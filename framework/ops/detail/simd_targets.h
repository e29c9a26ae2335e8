// Which instruction sets kernels are compiled for; they are chosen from at run time. To be included
// before Highway in each file of kernels:
//
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "framework/ops/softmax_cpu.cpp"
//   #include "framework/ops/detail/simd_targets.h"
//   #include "framework/ops/detail/simd-inl.h"
//
// The baseline (any x86-64), SSE4, AVX2 with FMA, and AVX-512. All of a program's kernels use one
// set, so its results are those of that set.
#pragma once

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)

#include <hwy/detect_targets.h>
