#include "trainer/batch_gradients.h"

#include "framework/autograd/leaves.h"
#include "framework/comm/collectives.h"
#include "framework/device/profile.h"
#include "framework/parallel/tree.h"
#include "trainer/batching.h"

namespace heddle {

BatchGradients::Sums BatchGradients::run(const TokenizedDataset& data,
                                         std::span<const int64_t> samples,
                                         const LeafPlanOptions& leaves,
                                         const TrainingNoise& noise) {
  const LeafPlan plan =
      plan_leaves(samples, leaves, [&](int64_t sample) { return data.length(sample); });
  const Sums mine = forward_backward(data, plan, noise);
  ranks_.doing("adding gradients");
  gradients_.all_reduce();
  Sums all;
  std::vector<double> losses;
  for (const Sums& sums : all_gather(ranks_, mine, "loss")) {
    losses.push_back(sums.loss);
    all.tokens += sums.tokens;
  }
  all.loss = tree_sum(losses);
  return all;
}

BatchGradients::Sums BatchGradients::forward_backward(const TokenizedDataset& data,
                                                      const LeafPlan& plan,
                                                      const TrainingNoise& noise) {
  Sums sums;
  std::vector<double> losses;
  gradients_.begin(static_cast<int64_t>(plan.passes.size()));
  for (const LeafPlan::Pass& p : plan.passes) {
    gradients_.begin_pass();
    losses.push_back(p.samples.empty() ? 0.0 : pass(data, p, noise, sums.tokens));
    gradients_.end_pass();
  }
  sums.loss = tree_sum(losses);
  return sums;
}

double BatchGradients::pass(const TokenizedDataset& data, const LeafPlan::Pass& pass,
                            const TrainingNoise& noise, int64_t& tokens) {
  ranks_.doing("reading data");
  PackedSequences packed;
  {
    const ProfiledStage span("read samples");
    for (int64_t sample : pass.samples) data.add_to(packed, sample);
  }
  tokens += packed.tokens();
  LeafOffsets token_offsets;
  for (int64_t s : pass.sample_offsets) {
    token_offsets.push_back(packed.segments[static_cast<size_t>(s)]);
  }
  ranks_.doing("forward and backward");
  const LeafScope leaves({token_offsets, pass.sample_offsets});

  const Device device = model_.head.out.weight.value.device();
  Batch batch = make_batch(packed, device);
  batch.noise = noise;
  const Loss loss = task_.loss(model_(batch), data, pass.samples);
  backward(loss.sum, Tensor::from<float>(std::vector<float>{1.0f}, {1}, device));
  return loss.value;
}

}  // namespace heddle
