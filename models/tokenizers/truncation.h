// Which tokens of one or two sequences stay when they must fit into a length.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "models/tokenizers/parts.h"

namespace heddle {

enum class Truncation {
  kLongestFirst,  // takes from the longer one, until both are equal, then from both
  kOnlyFirst,
  kOnlySecond,
};
enum class Side { kRight, kLeft };  // where tokens are taken away

// How many tokens of each sequence stay if together they may be `room`; `second` is 0 without a
// pair. Throws Error(kInput) if the strategy cannot reach that.
std::pair<uint32_t, uint32_t> truncated_lengths(uint32_t first, uint32_t second, uint32_t room,
                                                Truncation strategy);

// The parts of `length` tokens: the one that stays, then further windows of `room` tokens over the
// rest, each sharing `stride` tokens with the one before. Throws Error(kInput) unless stride <
// room.
std::vector<TextRange> truncation_windows(uint32_t length, uint32_t room, uint32_t stride,
                                          Side side);

}  // namespace heddle
