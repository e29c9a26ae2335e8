#include "framework/optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "framework/core/error.h"

namespace heddle {
namespace {

using Shape = Schedule::Shape;

constexpr std::int64_t kSteps = 12;

std::vector<double> rates(const Schedule& schedule) {
  std::vector<double> values;
  for (std::int64_t step = 0; step <= kSteps; ++step) {
    values.push_back(learning_rate(schedule, step, kSteps));
  }
  return values;
}

// The numbers were computed in Python by the formulas of get_linear_schedule_with_warmup,
// get_cosine_schedule_with_warmup and get_inverse_sqrt_schedule of Hugging Face's transformers.
TEST(Schedule, LinearIsThatOfHuggingFaceBitForBit) {
  const std::vector<double> expected{0.0,
                                     1.6666666666666667e-05,
                                     3.3333333333333335e-05,
                                     5e-05,
                                     4.4444444444444447e-05,
                                     3.888888888888889e-05,
                                     3.3333333333333335e-05,
                                     2.777777777777778e-05,
                                     2.2222222222222223e-05,
                                     1.6666666666666667e-05,
                                     1.1111111111111112e-05,
                                     5.555555555555556e-06,
                                     0.0};
  EXPECT_EQ(rates({.shape = Shape::kLinear, .lr = 5e-5, .warmup_steps = 3}), expected);
}

TEST(Schedule, CosineIsThatOfHuggingFaceBitForBit) {
  const std::vector<double> expected{0.0,
                                     1.6666666666666667e-05,
                                     3.3333333333333335e-05,
                                     5e-05,
                                     4.849231551964771e-05,
                                     4.415111107797445e-05,
                                     3.7500000000000003e-05,
                                     2.9341204441673266e-05,
                                     2.0658795558326743e-05,
                                     1.2500000000000006e-05,
                                     5.848888922025553e-06,
                                     1.5076844803522922e-06,
                                     0.0};
  EXPECT_EQ(rates({.shape = Shape::kCosine, .lr = 5e-5, .warmup_steps = 3}), expected);
}

TEST(Schedule, InverseSqrtIsThatOfHuggingFaceBitForBit) {
  const std::vector<double> expected{0.0,
                                     1.6666666666666667e-05,
                                     3.3333333333333335e-05,
                                     5e-05,
                                     4.330127018922194e-05,
                                     3.872983346207417e-05,
                                     3.535533905932738e-05,
                                     3.273268353539885e-05,
                                     3.061862178478972e-05,
                                     2.8867513459481293e-05,
                                     2.7386127875258303e-05,
                                     2.6111648393354678e-05,
                                     2.5e-05};
  EXPECT_EQ(rates({.shape = Shape::kInverseSqrt, .lr = 5e-5, .warmup_steps = 3}), expected);
}

TEST(Schedule, InverseSqrtWithoutWarmupStartsAtThePeak) {
  const Schedule schedule{.shape = Shape::kInverseSqrt, .lr = 1};
  EXPECT_EQ(learning_rate(schedule, 0, kSteps), 1);
  EXPECT_EQ(learning_rate(schedule, 30000, 40000), 0.5);
}

TEST(Schedule, ConstantStaysAtThePeak) {
  const Schedule schedule{.shape = Shape::kConstant, .lr = 2, .warmup_steps = 4};
  EXPECT_EQ(learning_rate(schedule, 1, kSteps), 0.5);
  EXPECT_EQ(learning_rate(schedule, 4, kSteps), 2);
  EXPECT_EQ(learning_rate(schedule, 1000, kSteps), 2);
}

TEST(Schedule, WsdFallsInItsLastSteps) {
  const Schedule schedule{
      .shape = Shape::kWsd, .lr = 1, .warmup_steps = 2, .end = 0.5, .decay_steps = 4};
  const std::vector<double> expected{0, 0.5, 1, 1, 1, 1, 1, 1, 1, 0.875, 0.75, 0.625, 0.5};
  EXPECT_EQ(rates(schedule), expected);
}

TEST(Schedule, WsdWithALongerDecayThanTheRunFallsAfterTheWarmup) {
  const Schedule schedule{.shape = Shape::kWsd, .lr = 1, .warmup_steps = 2, .decay_steps = 100};
  EXPECT_EQ(learning_rate(schedule, 2, kSteps), 1);
  EXPECT_EQ(learning_rate(schedule, 7, kSteps), 0.5);
  EXPECT_EQ(learning_rate(schedule, 12, kSteps), 0);
}

TEST(Schedule, ItEndsAtItsEndAndStaysThere) {
  for (const Shape shape : {Shape::kLinear, Shape::kCosine}) {
    const Schedule schedule{.shape = shape, .lr = 1, .warmup_steps = 3, .end = 0.25};
    EXPECT_EQ(learning_rate(schedule, 3, kSteps), 1);
    EXPECT_EQ(learning_rate(schedule, kSteps, kSteps), 0.25);
    EXPECT_EQ(learning_rate(schedule, 5 * kSteps, kSteps), 0.25);
  }
}

TEST(Schedule, ARunThatIsAllWarmupNeverDividesByZero) {
  for (const std::string& name : schedule_names()) {
    const Schedule schedule{.shape = schedule_shape(name), .lr = 1, .warmup_steps = kSteps};
    EXPECT_EQ(learning_rate(schedule, 6, kSteps), 0.5) << name;
    EXPECT_TRUE(std::isfinite(learning_rate(schedule, kSteps, kSteps))) << name;
    EXPECT_TRUE(std::isfinite(learning_rate(schedule, 0, 0))) << name;
  }
}

TEST(Schedule, NamesAndShapesBelongTogether) {
  EXPECT_EQ(schedule_shape("linear"), Shape::kLinear);
  EXPECT_EQ(schedule_shape("cosine"), Shape::kCosine);
  EXPECT_EQ(schedule_shape("constant"), Shape::kConstant);
  EXPECT_EQ(schedule_shape("inverse_sqrt"), Shape::kInverseSqrt);
  EXPECT_EQ(schedule_shape("wsd"), Shape::kWsd);
}

TEST(Schedule, AnUnknownNameIsAnErrorWithTheNearest) {
  try {
    schedule_shape("cosin");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    EXPECT_STREQ(error.what(), "unknown schedule 'cosin'");
    EXPECT_EQ(error.hint(), "did you mean 'cosine'?");
  }
}

std::string refusal(const Schedule& schedule, std::int64_t step) {
  try {
    learning_rate(schedule, step, kSteps);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(Schedule, NumbersThatMakeNoSenseAreRefused) {
  EXPECT_NE(refusal({.lr = 1}, -1).find("step -1 of 12"), std::string::npos);
  EXPECT_NE(refusal({.lr = 1, .end = 2}, 1).find("end is 2. Expected a part of the peak"),
            std::string::npos);
}

}  // namespace
}  // namespace heddle
