// How much may stay in a core's second-level cache while other data pass by.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace heddle {

// Half of a core's second-level cache, in bytes.
inline int64_t half_of_second_cache() {
  static const int64_t half = sysconf(_SC_LEVEL2_CACHE_SIZE) / 2;
  return std::max<int64_t>(half, 256 << 10);  // 0 where the system does not say
}

}  // namespace heddle
