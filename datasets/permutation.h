// A shuffled order of 0 … n-1 that is computed, not stored: any position in O(1).
//
//   Permutation order(rows, seed, epoch);
//   int64_t sample = order(position);
//
// A Feistel network on the smallest power of two that holds n (Luby and Rackoff 1988), its round
// keys from Philox; positions that leave [0, n) are sent through again until they do not ("cycle
// walking", Black and Rogaway 2002), less than twice on average. It is a bijection for every n.
#pragma once

#include <array>
#include <cstdint>

namespace heddle {

class Permutation {
 public:
  // Different (seed, stream) give orders that have nothing to do with each other. size >= 0.
  Permutation(int64_t size, uint64_t seed, uint64_t stream);

  int64_t size() const { return static_cast<int64_t>(size_); }
  // What stands at `position`, which is in [0, size()).
  int64_t operator()(int64_t position) const;

 private:
  static constexpr int kRounds = 8;
  uint64_t size_;
  int right_bits_;
  uint64_t left_mask_;
  uint64_t right_mask_;
  std::array<uint64_t, kRounds> keys_;
};

}  // namespace heddle
