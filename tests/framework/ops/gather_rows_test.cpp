#include "framework/ops/gather_rows.h"

#include <gtest/gtest.h>

#include "tests/support/expect_throw.h"
#include "tests/support/gradient_check.h"

namespace heddle {
namespace {

const Segments kSegments = Segments::from(std::vector<int32_t>{0, 3, 4, 9});

TEST(GatherRows, FirstLastAndMean) {
  const Tensor x = random_tensor({9, 5}, "x");
  const Tensor first = first_rows(x, kSegments), last = last_rows(x, kSegments);
  ASSERT_EQ(first.shape(), (Shape{3, 5}));
  for (int64_t s = 0; s < 3; ++s) {
    const int64_t begin = kSegments.begin(s), end = kSegments.end(s);
    EXPECT_TRUE(same_bits(first.rows(s, s + 1), x.rows(begin, begin + 1)));
    EXPECT_TRUE(same_bits(last.rows(s, s + 1), x.rows(end - 1, end)));
  }
  std::vector<double> mean;
  for (int64_t s = 0; s < 3; ++s) {
    for (int64_t c = 0; c < 5; ++c) {
      double sum = 0;
      for (int64_t row = kSegments.begin(s); row < kSegments.end(s); ++row) {
        sum += x.data<float>()[row * 5 + c];
      }
      mean.push_back(sum / static_cast<double>(kSegments.length(s)));
    }
  }
  expect_near(mean_rows(x, kSegments), mean, 1e-6);
}

TEST(GatherRows, GradientsEqualFiniteDifferences) {
  for (const auto& op : {first_rows, last_rows, mean_rows}) {
    check_gradients({random_tensor({9, 5}, "x")},
                    [&](const std::vector<Tensor>& in) { return op(in[0], kSegments); });
  }
}

TEST(GatherRows, ThreadsDoNotChangeBits) {
  std::vector<int32_t> offsets = {0};
  for (int32_t i = 0; i < 200; ++i) offsets.push_back(offsets.back() + 1 + i % 7);
  const Segments segments = Segments::from(offsets);
  expect_same_bits_on_any_threads([&](const Device& device) {
    const Tensor x = variable(random_tensor({segments.rows(), 90}, "x", -1, 1, device));
    const Tensor y = mean_rows(x, segments);
    backward(y, random_tensor(y.shape(), "dy", -1, 1, device));
    return std::vector<Tensor>{y.detach(), dense_gradient(x)};
  });
}

TEST(GatherRows, MistakesAreNamed) {
  EXPECT_INVALID(first_rows(Tensor::zeros({8, 5}), kSegments),
                 "x has shape [8, 5], the segments 9 rows");
  EXPECT_INVALID(mean_rows(Tensor::zeros({2, 5}), Segments::from(std::vector<int32_t>{0, 1, 1, 2})),
                 "sequence 1 is empty");
}

TEST(Segments, KnowTheirSequences) {
  EXPECT_EQ(kSegments.count(), 3);
  EXPECT_EQ(kSegments.rows(), 9);
  EXPECT_EQ(kSegments.max_length(), 5);
  EXPECT_EQ(kSegments.length(0), 3);
  EXPECT_EQ(kSegments.offsets().span<int32_t>()[2], 4);
  EXPECT_EQ(kSegments.host()[3], 9);
  EXPECT_EQ(Segments().count(), 0);
  EXPECT_EQ(Segments().rows(), 0);
}

TEST(Segments, OffsetsThatDoNotAscendAreRefused) {
  EXPECT_INVALID(Segments::from(std::vector<int32_t>{}), "[segments] 0 offsets");
  EXPECT_INVALID(Segments::from(std::vector<int32_t>{1, 2}), "ascend from 0");
  EXPECT_INVALID(Segments::from(std::vector<int32_t>{0, 3, 2}), "ascend from 0");
}

}  // namespace
}  // namespace heddle
