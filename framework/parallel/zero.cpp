#include "framework/parallel/zero.h"

#include <algorithm>
#include <vector>

namespace heddle {
namespace {

constexpr int64_t kAlignment = 16;       // floats: a cache line
constexpr int64_t kWindow = 256 * 1024;  // floats that a rank gives at a time

// Calls visit(values, at) for what the pieces hold of the flat elements [begin, end): `at` is the
// first one's distance from begin.
template <typename Visit>
void for_each_overlap(std::span<const FlatPiece> pieces, int64_t begin, int64_t end, Visit visit) {
  const auto ends_after = [](int64_t at, const FlatPiece& piece) {
    return at < piece.offset + static_cast<int64_t>(piece.values.size());
  };
  for (auto piece = std::upper_bound(pieces.begin(), pieces.end(), begin, ends_after);
       piece != pieces.end() && piece->offset < end; ++piece) {
    const int64_t first = std::max(begin, piece->offset);
    const int64_t last = std::min(end, piece->offset + static_cast<int64_t>(piece->values.size()));
    visit(piece->values.subspan(static_cast<size_t>(first - piece->offset),
                                static_cast<size_t>(last - first)),
          static_cast<size_t>(first - begin));
  }
}

}  // namespace

std::vector<int64_t> owned_bounds(int64_t size, int ranks) {
  std::vector<int64_t> bounds;
  for (int r = 0; r < ranks; ++r) bounds.push_back(size * r / ranks / kAlignment * kAlignment);
  bounds.push_back(size);
  return bounds;
}

void all_gather_owned(Communicator& group, std::span<const int64_t> bounds,
                      std::span<const FlatPiece> pieces) {
  if (group.size() == 1) return;
  const auto ranks = static_cast<size_t>(group.size());
  const auto me = static_cast<size_t>(group.rank());
  int64_t longest = 0;
  for (size_t r = 0; r < ranks; ++r) longest = std::max(longest, bounds[r + 1] - bounds[r]);
  const int64_t window = std::min(longest, kWindow);
  std::vector<float> mine(static_cast<size_t>(window));
  std::vector<float> all(mine.size() * ranks);
  for (int64_t at = 0; at < longest; at += window) {
    // The window of rank r, as far as it owns so much.
    const auto begin = [&](size_t r) { return std::min(bounds[r] + at, bounds[r + 1]); };
    const auto end = [&](size_t r) { return std::min(bounds[r] + at + window, bounds[r + 1]); };
    for_each_overlap(pieces, begin(me), end(me), [&](std::span<float> values, size_t to) {
      std::ranges::copy(values, mine.begin() + static_cast<ptrdiff_t>(to));
    });
    group.all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)),
                     "updated weights");
    for (size_t r = 0; r < ranks; ++r) {
      if (r == me) continue;
      const float* theirs = all.data() + r * mine.size();
      for_each_overlap(pieces, begin(r), end(r), [&](std::span<float> values, size_t from) {
        std::copy_n(theirs + from, values.size(), values.begin());
      });
    }
  }
}

}  // namespace heddle
