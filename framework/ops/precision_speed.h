// Which precisions are worth it on this processor, as far as HEDDLE_MAX_ISA allows
// (device/cpu_features.h).
#pragma once

#include "framework/core/precision.h"

namespace heddle {

// Whether the processor has products of this precision that are faster than those of f32: tiles for
// bf16, tiles or VNNI for int8. bf16 without tiles is slower than f32: AVX-512's own products of
// bf16 run at the rate of f32 at best, and rounding comes on top; elsewhere they are emulated.
bool has_fast_products(Precision precision);

// bf16 where has_fast_products() of it, else f32. Never int8: how much its rounding changes depends
// on the model, and only a measurement can tell (trainer/precision_choice.h).
Precision fastest_safe_precision();

}  // namespace heddle
