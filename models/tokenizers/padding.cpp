#include "models/tokenizers/padding.h"

#include <algorithm>

#include "framework/core/error.h"

namespace heddle {

void pad(Encoding& encoding, const Padding& padding) {
  check(padding.multiple_of >= 1, "[pad] multiple_of is {}. Expected at least 1.",
        padding.multiple_of);
  const auto multiple = static_cast<size_t>(padding.multiple_of);
  size_t target = std::max(encoding.ids.size(), static_cast<size_t>(std::max(padding.length, 0)));
  target = (target + multiple - 1) / multiple * multiple;
  const size_t missing = target - encoding.ids.size();
  const auto add = [&](auto& values, auto value) {
    const auto place = padding.side == Side::kRight ? values.end() : values.begin();
    values.insert(place, missing, value);
  };
  const bool has_offsets = encoding.offsets.size() == encoding.ids.size();
  add(encoding.ids, padding.id);
  add(encoding.type_ids, uint8_t{0});
  add(encoding.attention_mask, uint8_t{0});
  if (has_offsets) add(encoding.offsets, TextRange{});
}

}  // namespace heddle
