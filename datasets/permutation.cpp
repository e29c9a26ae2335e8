#include "datasets/permutation.h"

#include <algorithm>
#include <bit>

#include "framework/core/error.h"
#include "framework/core/random.h"

namespace heddle {
namespace {

// The finalizer of MurmurHash3: every bit of the input moves every bit of the result.
uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xFF51AFD7ED558CCDu;
  x ^= x >> 33;
  x *= 0xC4CEB9FE1A85EC53u;
  return x ^ (x >> 33);
}

}  // namespace

Permutation::Permutation(int64_t size, uint64_t seed, uint64_t stream)
    : size_(static_cast<uint64_t>(size)) {
  check(size >= 0, "[permutation] a size of {}. Expected 0 or more.", size);
  const int bits = std::max(2, static_cast<int>(std::bit_width(size_ > 0 ? size_ - 1 : 0)));
  right_bits_ = bits / 2;
  right_mask_ = (uint64_t{1} << right_bits_) - 1;
  left_mask_ = (uint64_t{1} << (bits - right_bits_)) - 1;
  const PhiloxKey key = philox_key(seed, RandomPurpose::kShuffle, stream);
  for (uint32_t i = 0; i < kRounds; ++i) {
    const PhiloxBlock words = philox({i, 0, 0, 0}, key);
    keys_[i] = uint64_t{words[0]} << 32 | words[1];
  }
}

int64_t Permutation::operator()(int64_t position) const {
  auto x = static_cast<uint64_t>(position);
  do {
    uint64_t left = x >> right_bits_;
    uint64_t right = x & right_mask_;
    for (int i = 0; i < kRounds; i += 2) {
      left ^= mix(right ^ keys_[static_cast<size_t>(i)]) & left_mask_;
      right ^= mix(left ^ keys_[static_cast<size_t>(i) + 1]) & right_mask_;
    }
    x = left << right_bits_ | right;
  } while (x >= size_);
  return static_cast<int64_t>(x);
}

}  // namespace heddle
