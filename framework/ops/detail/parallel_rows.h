// Rows of an output split over threads, in pieces that are worth a task.
#pragma once

#include <algorithm>
#include <cstdint>

#include "framework/device/device.h"

namespace heddle {

// Calls body(begin, end) so that [0, rows) is covered once. `cost` is about the number of elements
// that a row takes; little work stays on this thread.
template <typename Body>
void parallel_rows(Cpu on, int64_t rows, int64_t cost, Body&& body) {
  constexpr int64_t kElementsPerTask = 8192;
  const int64_t worth = rows * std::max<int64_t>(cost, 1) / kElementsPerTask;
  const int64_t pieces = std::min({rows, worth, int64_t{4} * on.threads()});
  if (on.threads() == 1 || pieces <= 1) {
    if (rows > 0) body(int64_t{0}, rows);
    return;
  }
  on.parallel_for(pieces, [&](int64_t i) { body(rows * i / pieces, rows * (i + 1) / pieces); });
}

}  // namespace heddle
