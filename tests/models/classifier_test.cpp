#include "models/classifier.h"

#include <tuple>

#include "framework/autograd/record.h"
#include "framework/device/allocator.h"
#include "tests/models/small_model.h"
#include "tests/support/tensors.h"

namespace heddle {
namespace {

const std::vector<int> kLengths = {5, 1, 17, 2, 33, 8};

class Families : public testing::TestWithParam<std::tuple<const char*, Precision>> {
 protected:
  static ClassifierConfig config() {
    ClassifierConfig config = small_config(std::get<0>(GetParam()));
    config.precision = std::get<1>(GetParam());
    return config;
  }
};
INSTANTIATE_TEST_SUITE_P(All, Families,
                         testing::Combine(testing::Values("bert", "distilbert", "electra"),
                                          testing::Values(Precision::kF32, Precision::kBF16)),
                         [](const auto& info) {
                           return fmt::format("{}_{}", std::get<0>(info.param),
                                              name_of(std::get<1>(info.param)));
                         });

TEST_P(Families, ABatchGivesTheBitsOfEachSequenceAlone) {
  const NoGrad no_grad;
  const SmallModel small(config());
  const Tensor together = small.model(small_batch(kLengths));
  ASSERT_EQ(together.shape(), Shape({6, 3}));
  for (size_t s = 0; s < kLengths.size(); ++s) {
    const Tensor alone = small.model(small_batch({kLengths[s]}, static_cast<int>(s)));
    const auto row = static_cast<int64_t>(s);
    EXPECT_TRUE(same_bits(alone, together.rows(row, row + 1))) << "sequence " << s;
  }
}

TEST_P(Families, PackedWeightsGiveTheBitsOfPlainOnes) {
  const NoGrad no_grad;
  SmallModel small(config());
  const Tensor plain = small.model(small_batch(kLengths));
  small.model.pack();
  EXPECT_TRUE(same_bits(small.model(small_batch(kLengths)), plain));
}

TEST_P(Families, TrainingWithoutNoiseGivesTheBitsOfServing) {
  SmallModel small(config());
  Tensor served;
  {
    const NoGrad no_grad;
    served = small.model(small_batch(kLengths));
  }
  for (const auto& [name, parameter] : named_parameters(small.model)) {
    parameter->value = variable(parameter->value);
  }
  EXPECT_TRUE(same_bits(small.model(small_batch(kLengths)).detach(), served));
}

TEST_P(Families, DropoutDependsOnSeedStepAndSequenceAlone) {
  const NoGrad no_grad;
  const SmallModel small(config());
  const auto noisy = [&](const std::vector<int>& lengths, int first, TrainingNoise noise) {
    Batch batch = small_batch(lengths, first);
    batch.noise = noise;
    return small.model(batch);
  };
  const Tensor together = noisy(kLengths, 0, {.seed = 1, .step = 4});
  const Tensor alone = noisy({kLengths[2]}, 2, {.seed = 1, .step = 4});
  EXPECT_TRUE(same_bits(alone, together.rows(2, 3)));
  EXPECT_FALSE(same_bits(together, noisy(kLengths, 0, {.seed = 1, .step = 5})));
  EXPECT_FALSE(same_bits(together, noisy(kLengths, 0, {.seed = 2, .step = 4})));
  EXPECT_FALSE(same_bits(together, small.model(small_batch(kLengths))));
}

// Gradients of all parameters in the order of the visit, and the bytes that the tape held.
std::pair<std::vector<Tensor>, int64_t> gradients_and_memory(const ClassifierConfig& config) {
  SmallModel small(config);
  for (const auto& [name, parameter] : named_parameters(small.model)) {
    parameter->value = variable(parameter->value);
  }
  Batch batch = small_batch(kLengths);
  batch.noise = TrainingNoise{.seed = 1, .step = 4};
  const int64_t before = memory_statistics().in_use;
  const Tensor y = small.model(batch);
  const int64_t held = memory_statistics().in_use - before;
  backward(y, random_tensor(y.shape(), "dy"));
  std::vector<Tensor> gradients;
  for (const auto& [name, parameter] : named_parameters(small.model)) {
    const Gradient& gradient = variable_state(parameter->value).gradient;
    EXPECT_TRUE(gradient.defined()) << name;
    gradients.push_back(gradient.values);
  }
  return {gradients, held};
}

TEST_P(Families, ActivationsComputedAgainGiveTheSameGradientsInLessMemory) {
  ClassifierConfig config = Families::config();
  config.layers = 4;
  const auto [kept, all] = gradients_and_memory(config);
  int64_t before = all;
  for (const Recompute what : {Recompute::kAttention, Recompute::kLayer}) {
    config.recompute = what;
    const auto [again, held] = gradients_and_memory(config);
    ASSERT_EQ(again.size(), kept.size());
    for (size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(same_bits(again[i], kept[i])) << i;
    EXPECT_LT(held, before * 4 / 5);
    before = held;
  }
}

TEST_P(Families, HiddenStatesEndWithTheEncodersOutput) {
  const NoGrad no_grad;
  const SmallModel small(config());
  const Batch batch = small_batch(kLengths);
  const std::vector<Tensor> states = small.model.encoder.hidden_states(batch);
  ASSERT_EQ(states.size(), 3u);
  for (const Tensor& state : states) EXPECT_EQ(state.shape(), Shape({66, 32}));
  EXPECT_TRUE(same_bits(states.back(), small.model.encoder(batch)));
}

TEST_P(Families, OnTheMetaDeviceThereAreShapesAlone) {
  const NoGrad no_grad;
  const SmallModel meta(config(), 3, Device::meta());
  const Tensor logits = meta.model(small_batch(kLengths, 0, Device::meta()));
  EXPECT_EQ(logits.shape(), Shape({6, 3}));
  EXPECT_TRUE(logits.device().is_meta());
  SmallModel real(config());
  SmallModel counted(config(), 3, Device::meta());
  EXPECT_EQ(count_parameters(counted.model), count_parameters(real.model));
}

// Each in its own rounding, all near f32.
TEST(Classifier, EveryPrecisionIsServedAndNear) {
  const NoGrad no_grad;
  const Batch batch = small_batch(kLengths);
  const SmallModel exact(small_config());
  const Tensor expected = exact.model(batch);
  for (const auto& [precision, bound] :
       {std::pair(Precision::kF32, 1e-6f), {Precision::kBF16, 2e-2f}, {Precision::kInt8, 4e-2f}}) {
    ClassifierConfig config = small_config();
    config.precision = precision;
    SmallModel small(config);
    small.model.pack();
    const Tensor logits = small.model(batch);
    EXPECT_EQ(logits.dtype(), DType::kF32);
    float worst = 0;
    for (size_t i = 0; i < static_cast<size_t>(logits.numel()); ++i) {
      worst = std::max(worst, std::abs(logits.span<float>()[i] - expected.span<float>()[i]));
    }
    EXPECT_LE(worst, bound) << name_of(precision);
    EXPECT_EQ(worst == 0, precision == Precision::kF32) << name_of(precision);
    const Tensor alone = small.model(small_batch({kLengths[2]}, 2));
    EXPECT_TRUE(same_bits(alone, logits.rows(2, 3))) << name_of(precision);
  }
}

TEST(Classifier, TokenTypesAndPositionsMatter) {
  const NoGrad no_grad;
  const SmallModel small(small_config());
  const Batch batch = small_batch(kLengths);
  Batch other = batch;
  other.token_types = Tensor::zeros(batch.token_types.shape(), DType::kI32);
  EXPECT_FALSE(same_bits(small.model(batch), small.model(other)));
}

}  // namespace
}  // namespace heddle
