#include "trainer/precision_choice.h"

#include <limits>

#include "tests/trainer/tiny_run.h"

namespace heddle {
namespace {

// 512 rows of which bf16 is four times as fast as f32 and int8 five times.
MeasuredPrecisions measured(int64_t flips_of_bf16, int64_t flips_of_int8) {
  return {.problem = Problem::kSingleLabel,
          .rows = 512,
          .tokens = 10240,
          .metric = {},
          .precisions = {{.precision = Precision::kF32, .seconds = 2, .metric = {}},
                         {.precision = Precision::kBF16,
                          .seconds = 0.5,
                          .flips = flips_of_bf16,
                          .largest_difference = 0.01,
                          .metric = {}},
                         {.precision = Precision::kInt8,
                          .seconds = 0.4,
                          .flips = flips_of_int8,
                          .largest_difference = 0.04,
                          .metric = {}}},
          .notes = {}};
}

TEST(PrecisionChoice, TheFastestWithinTheLimitIsTaken) {
  EXPECT_EQ(choose_precision(measured(0, 0), 0.001), Precision::kInt8);
  EXPECT_EQ(choose_precision(measured(0, 1), 0.001), Precision::kBF16);
  EXPECT_EQ(choose_precision(measured(0, 1), 1.0 / 512), Precision::kInt8);
  EXPECT_EQ(choose_precision(measured(2, 1), 1.0 / 512), Precision::kInt8);
  EXPECT_EQ(choose_precision(measured(3, 9), 0.001), Precision::kF32);
}

TEST(PrecisionChoice, WhatIsSlowerThanF32IsNotTaken) {
  MeasuredPrecisions slow = measured(0, 0);
  slow.precisions[1].seconds = 4;
  slow.precisions[2].seconds = 2;
  EXPECT_EQ(choose_precision(slow, 1), Precision::kF32);
  slow.precisions.resize(1);
  EXPECT_EQ(choose_precision(slow, 0), Precision::kF32);
  EXPECT_TRUE(has(explain_choice(slow, 0), "f32: there is no other here"));
}

TEST(PrecisionChoice, NumbersAreJudgedByTheirSpread) {
  MeasuredPrecisions numbers = measured(0, 0);
  numbers.problem = Problem::kRegression;
  numbers.precisions[1].relative_difference = 0.004;
  numbers.precisions[2].relative_difference = std::numeric_limits<double>::infinity();
  EXPECT_EQ(choose_precision(numbers, 0.001), Precision::kF32);
  EXPECT_EQ(choose_precision(numbers, 0.005), Precision::kBF16);
  EXPECT_TRUE(has(explain_choice(numbers, 0.005),
                  "bf16: the fastest whose numbers are off by at most "
                  "0.5 % of their spread; against f32 on 512 rows: bf16 4.00 x, 0.4 %;"));
  EXPECT_TRUE(to_json(numbers, 0.005)["precisions"][2]["relative_difference"].is_null());
}

TEST(PrecisionChoice, IsExplainedInOneLine) {
  EXPECT_EQ(explain_choice(measured(0, 3), 0.001),
            "bf16: the fastest that flips at most 0.1 % of labels; against f32 on 512 rows: "
            "bf16 4.00 x, 0 flips (0 %); int8 5.00 x, 3 flips (0.5859 %)");
}

TEST(PrecisionChoice, TheTableAndTheDocumentSayTheSame) {
  MeasuredPrecisions all = measured(0, 3);
  all.metric = "accuracy";
  for (PrecisionMeasurement& of : all.precisions) of.metric = 0.75;
  all.notes = {"left out: f16"};
  const std::string table = precision_table(all, 0.001);
  EXPECT_TRUE(has(table, "512 rows, 10,240 tokens\n\nprecision  rows/s  tokens/s  times f32"));
  EXPECT_TRUE(has(table, "\nint8        1,280    25,600       5.00                0.04      3"));
  EXPECT_TRUE(has(table, "left out: f16\nrecommended: bf16: the fastest"));
  const Json json = to_json(all, 0.001);
  EXPECT_EQ(json["recommended"], "bf16");
  EXPECT_EQ(json["precisions"][2]["rows_per_s"], 1280);
  EXPECT_EQ(json["precisions"][2]["flips"], 3);
  EXPECT_EQ(json["precisions"][2]["accuracy"], 0.75);
}

}  // namespace
}  // namespace heddle
