// The tree's sum of arrays that several ranks of a node hold in shared memory, bucket by bucket
// while they are still being filled.
//
//   BucketSum sum(node, arena);                 // collective; once
//   sum.begin(values);                          // without waiting for anyone
//   …; sum.ready(100'000); sum.progress();      // the first 100,000 are final here
//   sum.finish();                               // waits; values hold the sum on every rank
//
// A bucket is added when every rank has it ready, each rank adding its slice, so nobody waits for
// anybody before finish(). The bits are those of the sum in one piece.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "framework/comm/communicator.h"

namespace heddle {

class BucketSum {
 public:
  // Floats in a bucket but the last: 2 MiB, which L2 holds while two ranks share them.
  static constexpr int64_t kBucket = int64_t{512} << 10;

  // `values` of begin() will lie in `arena`, at the same offset on every rank. Both outlive this.
  // Collective.
  BucketSum(Communicator& node, SharedArena& arena);

  // On every rank in the same order, with as many values.
  void begin(std::span<float> values);
  // The first `count` values of this rank are final. Never falls.
  void ready(int64_t count);
  // Adds what every rank has ready.
  void progress();
  // All values are final. Collective.
  void finish();

 private:
  // What a rank tells the others, in buckets since the start of time.
  struct State {
    alignas(64) std::atomic<int64_t> ready{0};
    alignas(64) std::atomic<int64_t> added{0};
  };
  static_assert(std::atomic<int64_t>::is_always_lock_free, "processes share these");

  State& state_of(int rank) const { return *reinterpret_cast<State*>(states_.peer(rank)); }
  bool all_ready(int64_t bucket) const;
  void add(int64_t bucket);

  Communicator& node_;
  SharedArena& arena_;
  SharedArena states_;
  std::span<float> values_;
  int64_t buckets_ = 0;  // of the values
  int64_t next_ = 0;     // to be added
  int64_t before_ = 0;   // buckets of earlier sums
};

}  // namespace heddle
