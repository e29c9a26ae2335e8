#include "datasets/packing.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "framework/core/error.h"

namespace heddle {

std::span<int32_t> PackedSequences::add(int64_t length, int64_t pair_begin, int64_t sample) {
  check(pair_begin >= 0 && pair_begin <= length,
        "[packing] the second text begins at {} of {} tokens.", pair_begin, length);
  check(tokens() + length <= std::numeric_limits<int32_t>::max(),
        "[packing] a batch of {} tokens. Expected fewer than 2^31.", tokens() + length);
  const auto begin = static_cast<size_t>(tokens());
  const size_t end = begin + static_cast<size_t>(length);
  ids.resize(end);
  positions.resize(end);
  token_types.resize(end);
  std::iota(positions.begin() + static_cast<int64_t>(begin), positions.end(), 0);
  std::fill(token_types.begin() + static_cast<int64_t>(begin), token_types.end(), 0);
  std::fill(token_types.begin() + static_cast<int64_t>(begin) + pair_begin, token_types.end(), 1);
  segments.push_back(static_cast<int32_t>(end));
  samples.push_back(sample);
  return std::span(ids).subspan(begin);
}

void PackedSequences::add(std::span<const int32_t> sequence, int64_t pair_begin, int64_t sample) {
  const std::span<int32_t> room = add(static_cast<int64_t>(sequence.size()), pair_begin, sample);
  std::copy(sequence.begin(), sequence.end(), room.begin());
}

void PackedSequences::clear() {
  ids.clear();
  positions.clear();
  token_types.clear();
  segments.assign(1, 0);
  samples.clear();
}

}  // namespace heddle
