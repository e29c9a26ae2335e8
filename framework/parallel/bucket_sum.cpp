#include "framework/parallel/bucket_sum.h"

#include <algorithm>
#include <vector>

#include "framework/core/error.h"
#include "framework/device/profile.h"
#include "framework/parallel/tree.h"

namespace heddle {

BucketSum::BucketSum(Communicator& node, SharedArena& arena)
    : node_(node), arena_(arena), states_(node.allocate_shared(sizeof(State), "buckets")) {}

void BucketSum::begin(std::span<float> values) {
  check(next_ == buckets_, "[bucket_sum] a sum begins before the last one has ended.");
  before_ += buckets_;
  values_ = values;
  buckets_ = (static_cast<int64_t>(values.size()) + kBucket - 1) / kBucket;
  next_ = 0;
}

void BucketSum::ready(int64_t count) {
  const auto all = static_cast<int64_t>(values_.size());
  check(0 <= count && count <= all, "[bucket_sum] {} of {} values are ready.", count, all);
  const int64_t whole = count == all ? buckets_ : count / kBucket;
  state_of(node_.rank()).ready.store(before_ + whole, std::memory_order_release);
}

bool BucketSum::all_ready(int64_t bucket) const {
  for (int r = 0; r < node_.size(); ++r) {
    if (state_of(r).ready.load(std::memory_order_acquire) <= before_ + bucket) return false;
  }
  return true;
}

void BucketSum::progress() {
  const int64_t first = next_;
  while (next_ < buckets_ && all_ready(next_)) add(next_++);
  if (next_ != first) {
    state_of(node_.rank()).added.store(before_ + next_, std::memory_order_release);
  }
}

// This rank's slice of a bucket, into every rank's values.
void BucketSum::add(int64_t bucket) {
  const ProfiledStage span("sum of a bucket");
  const int64_t begin = bucket * kBucket;
  const int64_t count = std::min(kBucket, static_cast<int64_t>(values_.size()) - begin);
  const int64_t ranks = node_.size();
  // On cache lines unless the bucket ends before.
  const auto slice = [&](int64_t rank) {
    return std::min(count, (count * rank / ranks + 15) / 16 * 16);
  };
  const int64_t from = slice(node_.rank());
  const auto at = reinterpret_cast<std::byte*>(values_.data() + begin + from) - arena_.mine();
  std::vector<float*> parts;
  for (int r = 0; r < node_.size(); ++r) {
    parts.push_back(reinterpret_cast<float*>(arena_.peer(r) + at));
  }
  tree_sum_to_all(parts, static_cast<size_t>(slice(node_.rank() + 1) - from));
}

void BucketSum::finish() {
  ready(static_cast<int64_t>(values_.size()));
  states_.wait([&] {
    progress();
    return next_ == buckets_;
  });
  states_.wait([&] {
    for (int r = 0; r < node_.size(); ++r) {
      if (state_of(r).added.load(std::memory_order_acquire) < before_ + buckets_) return false;
    }
    return true;
  });
}

}  // namespace heddle
