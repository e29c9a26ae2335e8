#include "trainer/train_step.h"

#include <cmath>

namespace heddle {

StepResult TrainStep::run(const TokenizedDataset& data, std::span<const int64_t> samples,
                          const LeafPlanOptions& leaves, const TrainingNoise& noise, double rate) {
  const BatchGradients::Sums sums = gradients_.run(data, samples, leaves, noise);
  if (verifier_) verifier_->check({data, samples, leaves, noise, sums.loss});
  const double terms = static_cast<double>(samples.size()) * task_.terms_per_sample();
  StepResult result;
  result.tokens = sums.tokens;
  result.loss = sums.loss / terms;
  result.gradient_norm = optimizer_.gradient_norm(terms);
  // Both are equal on all ranks, and so is the decision.
  result.skipped = !std::isfinite(result.loss) || !std::isfinite(result.gradient_norm);
  if (!result.skipped) optimizer_.step(rate, result.gradient_norm, terms);
  return result;
}

}  // namespace heddle
