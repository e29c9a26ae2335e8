#include "trainer/leaf_plan.h"

#include <algorithm>

#include "datasets/epoch_sampler.h"

namespace heddle {

LeafPlan plan_leaves(std::span<const int64_t> samples, const LeafPlanOptions& options,
                     const std::function<int64_t(int64_t sample)>& length) {
  const auto count = static_cast<int64_t>(samples.size());
  std::vector<int64_t> tokens = {0};  // of the samples before
  for (int64_t sample : samples) tokens.push_back(tokens.back() + length(sample));
  const auto tokens_of = [&](int64_t begin_leaf, int64_t end_leaf, int64_t leaves) {
    const auto begin = leaf_range(count, begin_leaf, leaves).first;
    const auto end = leaf_range(count, end_leaf - 1, leaves).second;
    return tokens[static_cast<size_t>(end)] - tokens[static_cast<size_t>(begin)];
  };

  int64_t leaves = options.leaves;
  const auto too_large = [&](int64_t leaf) {
    const auto [begin, end] = leaf_range(count, leaf, leaves);
    return end - begin > 1 && tokens_of(leaf, leaf + 1, leaves) > options.micro_tokens;
  };
  for (int64_t leaf = 0; leaf < leaves; ++leaf) {
    if (!too_large(leaf)) continue;
    leaves *= 2;
    leaf = -1;
  }

  const int64_t share = leaves / options.ranks;
  const int64_t first = share * options.rank;
  int64_t group = share;  // leaves of a pass
  for (int64_t g = 0; group > 1 && g < share; g += group) {
    if (tokens_of(first + g, first + g + group, leaves) <= options.micro_tokens) continue;
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
      for (int64_t i = begin; i < end; ++i) pass.samples.push_back(samples[static_cast<size_t>(i)]);
      pass.sample_offsets.push_back(static_cast<int64_t>(pass.samples.size()));
    }
    plan.passes.push_back(std::move(pass));
  }
  return plan;
}

}  // namespace heddle
