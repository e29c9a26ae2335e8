#include "trainer/leaf_plan.h"

#include <algorithm>
#include <numeric>

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
  for (const int64_t place : longest_first) {
    Leaf* to = nullptr;
    for (Leaf& leaf : dealt) {
      if (leaf.room > 0 && (!to || leaf.tokens < to->tokens)) to = &leaf;
    }
    to->tokens += length_at(place);
    to->room -= 1;
    to->places.push_back(place);
  }
  std::vector<int64_t> order;
  for (Leaf& leaf : dealt) {
    std::ranges::sort(leaf.places);
    for (const int64_t place : leaf.places) order.push_back(samples[static_cast<size_t>(place)]);
  }
  return order;
}

}  // namespace

LeafPlan plan_leaves(std::span<const int64_t> samples, const LeafPlanOptions& options,
                     const Length& length) {
  const auto count = static_cast<int64_t>(samples.size());
  int64_t leaves = options.leaves;
  std::vector<int64_t> order(samples.begin(), samples.end());
  std::vector<int64_t> tokens;  // of the samples before
  const auto arrange = [&] {
    if (options.even) order = deal_evenly(samples, leaves, length);
    tokens.assign(1, 0);
    for (int64_t sample : order) tokens.push_back(tokens.back() + length(sample));
  };
  arrange();
  const auto tokens_of = [&](int64_t begin_leaf, int64_t end_leaf) {
    const auto begin = leaf_range(count, begin_leaf, leaves).first;
    const auto end = leaf_range(count, end_leaf - 1, leaves).second;
    return tokens[static_cast<size_t>(end)] - tokens[static_cast<size_t>(begin)];
  };
  const auto too_large = [&](int64_t leaf) {
    const auto [begin, end] = leaf_range(count, leaf, leaves);
    return end - begin > 1 && tokens_of(leaf, leaf + 1) > options.micro_tokens;
  };
  for (int64_t leaf = 0; leaf < leaves; ++leaf) {
    if (!too_large(leaf)) continue;
    leaves *= 2;
    arrange();
    leaf = -1;
  }

  const int64_t share = leaves / options.ranks;
  const int64_t first = share * options.rank;
  int64_t group = share;  // leaves of a pass
  for (int64_t g = 0; group > 1 && g < share; g += group) {
    if (tokens_of(first + g, first + g + group) <= options.micro_tokens) continue;
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
      const auto [begin, end] = leaf_range(count, leaf, leaves);
      for (int64_t i = begin; i < end; ++i) pass.samples.push_back(order[static_cast<size_t>(i)]);
      pass.sample_offsets.push_back(static_cast<int64_t>(pass.samples.size()));
    }
    plan.passes.push_back(std::move(pass));
  }
  return plan;
}

}  // namespace heddle
