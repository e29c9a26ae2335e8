// What a kernel needs to draw the mask of dropout.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "framework/core/random.h"
#include "framework/ops/dropout.h"

namespace heddle {

struct DropoutMask {
  PhiloxKey key{};
  uint32_t step = 0;
  int32_t last_dropped = 0;           // a word is kept if, as a signed number, it is above
  float scale = 1;                    // of what is kept
  const int64_t* row_keys = nullptr;  // null: nothing is dropped

  DropoutMask() = default;
  DropoutMask(const Dropout& options, RandomPurpose purpose) {
    if (!options.active()) return;
    key = philox_key(options.seed, purpose, static_cast<uint32_t>(options.layer));
    step = static_cast<uint32_t>(options.step);
    const int64_t dropped = std::max<int64_t>(std::llround(options.p * 0x1p32), 1);
    last_dropped = static_cast<int32_t>(dropped - 1 - (int64_t{1} << 31));
    scale = 1.0f / (1.0f - options.p);
    row_keys = options.row_keys.data<int64_t>();
  }

  bool active() const { return row_keys != nullptr; }
};

}  // namespace heddle
