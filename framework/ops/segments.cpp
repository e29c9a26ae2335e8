#include "framework/ops/segments.h"

#include <algorithm>

namespace heddle {

Segments Segments::from(std::span<const int32_t> offsets, const Device& device) {
  check(!offsets.empty() && offsets.front() == 0 && std::ranges::is_sorted(offsets),
        "[segments] {} offsets. Expected them to ascend from 0.", offsets.size());
  Segments segments;
  segments.host_ = std::make_shared<const std::vector<int32_t>>(offsets.begin(), offsets.end());
  segments.offsets_ =
      Tensor::from<int32_t>(offsets, {static_cast<int64_t>(offsets.size())}, device);
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    segments.max_length_ = std::max(segments.max_length_, offsets[s + 1] - offsets[s]);
  }
  return segments;
}

}  // namespace heddle
