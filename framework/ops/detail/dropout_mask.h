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
  // An element is kept if its 16 bits, above zeros as a signed number, are above this.
  int32_t last_dropped = 0;
  float scale = 1;                    // of what is kept
  const int64_t* row_keys = nullptr;  // null: nothing is dropped

  DropoutMask() = default;
  DropoutMask(const Dropout& options, RandomPurpose purpose) {
    if (!options.active()) return;
    key = philox_key(options.seed, purpose, static_cast<uint32_t>(options.layer));
    step = static_cast<uint32_t>(options.step);
    const int64_t dropped = std::clamp<int64_t>(std::llround(options.p * 65536.0), 1, 65535);
    last_dropped = static_cast<int32_t>(dropped * 65536 - 1 - (int64_t{1} << 31));
    scale = static_cast<float>(65536.0 / static_cast<double>(65536 - dropped));
    row_keys = options.row_keys.data<int64_t>();
  }

  bool active() const { return row_keys != nullptr; }
};

}  // namespace heddle
