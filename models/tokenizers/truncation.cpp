#include "models/tokenizers/truncation.h"

#include <algorithm>

#include "framework/core/error.h"

namespace heddle {

std::pair<uint32_t, uint32_t> truncated_lengths(uint32_t first, uint32_t second, uint32_t room,
                                                Truncation strategy) {
  if (first + second <= room) return {first, second};
  if (room == 0) return {0, 0};
  const uint32_t excess = first + second - room;
  if (strategy != Truncation::kLongestFirst) {
    const bool only_first = strategy == Truncation::kOnlyFirst;
    uint32_t& target = only_first ? first : second;
    if (target <= excess) {
      throw Error(ExitCode::kInput,
                  fmt::format("a text of {} and a pair of {} tokens cannot be cut to {} by taking "
                              "tokens of the {} only",
                              first, second, room, only_first ? "first" : "second"),
                  "raise max_length or truncate longest_first");
    }
    target -= excess;
    return {first, second};
  }
  if (second == 0) return {room, 0};
  uint32_t less = std::min(first, second);
  uint32_t more = less > room ? less : std::max(less, room - less);
  if (less + more > room) {
    less = room / 2;
    more = less + room % 2;
  }
  return first > second ? std::pair(more, less) : std::pair(less, more);
}

std::vector<TextRange> truncation_windows(uint32_t length, uint32_t room, uint32_t stride,
                                          Side side) {
  if (room >= length) return {{0, length}};
  if (room == 0) return {{0, 0}, {0, length}};
  if (stride >= room) {
    throw Error(ExitCode::kInput,
                fmt::format("a stride of {} with room for {} tokens never gets on", stride, room),
                "make the stride smaller or max_length larger");
  }
  const uint32_t step = room - stride;
  std::vector<TextRange> windows;
  for (uint32_t done = 0;; done += step) {
    const uint32_t rest = length - done;
    const uint32_t size = std::min(room, rest);
    windows.push_back(side == Side::kRight ? TextRange{done, done + size}
                                           : TextRange{rest - size, rest});
    if (size == rest) return windows;
  }
}

}  // namespace heddle
