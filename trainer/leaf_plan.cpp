#include "trainer/leaf_plan.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <utility>

#include "datasets/epoch_sampler.h"

namespace heddle {
namespace {

using Length = std::function<int64_t(int64_t sample)>;

// The samples of leaf 0, then of leaf 1, …: the longest first, each to the leaf with the fewest
// tokens of those that still have room. Within a leaf they keep their order.
std::vector<int64_t> deal_evenly(std::span<const int64_t> samples, int64_t leaves,
                                 const Length& length) {
  const auto count = static_cast<int64_t>(samples.size());
  std::vector<int64_t> longest_first(samples.size());
  std::iota(longest_first.begin(), longest_first.end(), 0);
  const auto length_at = [&](int64_t i) { return length(samples[static_cast<size_t>(i)]); };
  std::ranges::stable_sort(longest_first, std::greater(), length_at);
  struct Leaf {
    int64_t tokens = 0;
    int64_t room = 0;
    std::vector<int64_t> places;
  };
  std::vector<Leaf> dealt;
  for (int64_t leaf = 0; leaf < leaves; ++leaf) {
    const auto [begin, end] = leaf_range(count, leaf, leaves);
    dealt.push_back({0, end - begin, {}});
  }
  // The fewest tokens on top; of equals the first leaf.
  std::priority_queue<std::pair<int64_t, size_t>, std::vector<std::pair<int64_t, size_t>>,
                      std::greater<>>
      with_room;
  for (size_t leaf = 0; leaf < dealt.size(); ++leaf) {
    if (dealt[leaf].room > 0) with_room.emplace(0, leaf);
  }
  for (const int64_t place : longest_first) {
    const size_t index = with_room.top().second;
    with_room.pop();
    Leaf& to = dealt[index];
    to.tokens += length_at(place);
    to.room -= 1;
    to.places.push_back(place);
    if (to.room > 0) with_room.emplace(to.tokens, index);
  }
  std::vector<int64_t> order;
  for (Leaf& leaf : dealt) {
    std::ranges::sort(leaf.places);
    for (const int64_t place : leaf.places) order.push_back(samples[static_cast<size_t>(place)]);
  }
  return order;
}

}  // namespace

LeafPlanner::LeafPlanner(std::span<const int64_t> samples, const LeafPlanOptions& options,
                         const Length& length)
    : options_(options), leaves_(options.leaves), order_(samples.begin(), samples.end()) {
  const auto count = static_cast<int64_t>(samples.size());
  const auto arrange = [&] {
    if (options.even) order_ = deal_evenly(samples, leaves_, length);
    before_.assign(1, 0);
    for (int64_t sample : order_) before_.push_back(before_.back() + length(sample));
  };
  arrange();
  const auto too_large = [&](int64_t leaf) {
    const auto [begin, end] = leaf_range(count, leaf, leaves_);
    return end - begin > 1 && tokens_of(leaf, leaf + 1) > options.micro_tokens;
  };
  for (int64_t leaf = 0; leaf < leaves_; ++leaf) {
    if (!too_large(leaf)) continue;
    leaves_ *= 2;
    arrange();
    leaf = -1;
  }
}

int64_t LeafPlanner::tokens_of(int64_t begin_leaf, int64_t end_leaf) const {
  const auto count = static_cast<int64_t>(order_.size());
  const auto begin = leaf_range(count, begin_leaf, leaves_).first;
  const auto end = leaf_range(count, end_leaf - 1, leaves_).second;
  return before_[static_cast<size_t>(end)] - before_[static_cast<size_t>(begin)];
}

int64_t LeafPlanner::tokens(int64_t rank) const {
  const int64_t share = leaves_ / options_.ranks;
  return tokens_of(share * rank, share * (rank + 1));
}

LeafPlan LeafPlanner::plan(int64_t rank) const {
  const auto count = static_cast<int64_t>(order_.size());
  const int64_t share = leaves_ / options_.ranks;
  const int64_t first = share * rank;
  int64_t group = share;  // leaves of a pass
  for (int64_t g = 0; group > 1 && g < share; g += group) {
    if (tokens_of(first + g, first + g + group) <= options_.micro_tokens) continue;
    // Only halves of an even group keep passes aligned with the tree.
    if (group % 2 != 0) break;
    group /= 2;
    g = -group;
  }
  LeafPlan plan;
  for (int64_t g = first; g < first + share; g += group) {
    LeafPlan::Pass pass;
    pass.sample_offsets.push_back(0);
    for (int64_t leaf = g; leaf < g + group; ++leaf) {
      const auto [begin, end] = leaf_range(count, leaf, leaves_);
      for (int64_t i = begin; i < end; ++i) pass.samples.push_back(order_[static_cast<size_t>(i)]);
      pass.sample_offsets.push_back(static_cast<int64_t>(pass.samples.size()));
    }
    plan.passes.push_back(std::move(pass));
  }
  return plan;
}

LeafPlan plan_leaves(std::span<const int64_t> samples, const LeafPlanOptions& options,
                     const Length& length) {
  return LeafPlanner(samples, options, length).plan(options.rank);
}

}  // namespace heddle
