#include "trainer/train_step.h"

#include <cmath>

#include "framework/autograd/leaves.h"
#include "framework/comm/collectives.h"
#include "framework/parallel/tree.h"
#include "trainer/batching.h"

namespace heddle {

StepResult TrainStep::run(const TokenizedDataset& data, std::span<const int64_t> samples,
                          const LeafPlanOptions& leaves, const TrainingNoise& noise, double rate) {
  const LeafPlan plan =
      plan_leaves(samples, leaves, [&](int64_t sample) { return data.length(sample); });
  const Sums mine = forward_backward(data, plan, noise);
  gradients_.all_reduce();

  StepResult result;
  std::vector<double> losses;
  for (const Sums& sums : all_gather(world_, mine, "loss")) {
    losses.push_back(sums.loss);
    result.tokens += sums.tokens;
  }
  const double terms = static_cast<double>(samples.size()) * task_.terms_per_sample();
  result.loss = tree_sum(losses) / terms;
  result.gradient_norm = optimizer_.gradient_norm(terms);
  // Both are equal on all ranks, and so is the decision.
  result.skipped = !std::isfinite(result.loss) || !std::isfinite(result.gradient_norm);
  if (!result.skipped) optimizer_.step(rate, result.gradient_norm, terms);
  return result;
}

TrainStep::Sums TrainStep::forward_backward(const TokenizedDataset& data, const LeafPlan& plan,
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

double TrainStep::pass(const TokenizedDataset& data, const LeafPlan::Pass& pass,
                       const TrainingNoise& noise, int64_t& tokens) {
  PackedSequences packed;
  for (int64_t sample : pass.samples) data.add_to(packed, sample);
  tokens += packed.tokens();
  LeafOffsets token_offsets;
  for (int64_t s : pass.sample_offsets) {
    token_offsets.push_back(packed.segments[static_cast<size_t>(s)]);
  }
  const LeafScope leaves({token_offsets, pass.sample_offsets});

  const Device device = model_.head.out.weight.value.device();
  Batch batch = make_batch(packed, device);
  batch.noise = noise;
  const Loss loss = task_.loss(model_(batch), data, pass.samples);
  backward(loss.sum, Tensor::from<float>(std::vector<float>{1.0f}, {1}, device));
  return loss.value;
}

}  // namespace heddle
