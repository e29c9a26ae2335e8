#include "framework/core/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace heddle {
namespace {

// Known answers of Random123 (kat_vectors, philox4x32 10).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, KeysDifferBySeedPurposeAndStream) {
  std::set<PhiloxKey> keys;
  for (const uint64_t seed : {0ull, 1ull, 42ull, 1ull << 40}) {
    for (const auto purpose : {RandomPurpose::kInitialWeights, RandomPurpose::kDropout}) {
      for (uint64_t stream = 0; stream < 100; ++stream) {
        keys.insert(philox_key(seed, purpose, stream));
      }
    }
  }
  EXPECT_EQ(keys.size(), 800u);
}

TEST(FillNormal, PartsEqualTheWhole) {
  std::vector<float> whole(1003);
  fill_normal(whole, 7, name_stream("weight"), 0, 0.02f);
  for (const size_t begin : {0u, 1u, 6u, 511u}) {
    std::vector<float> part(300);
    fill_normal(part, 7, name_stream("weight"), static_cast<int64_t>(begin), 0.02f);
    for (size_t i = 0; i < part.size(); ++i) EXPECT_EQ(part[i], whole[begin + i]);
  }
}

TEST(FillNormal, MomentsAreThoseOfTheNormalDistribution) {
  std::vector<float> x(200000);
  fill_normal(x, 3, name_stream("a"), 0, 2.0f);
  double m1 = 0, m2 = 0, m4 = 0;
  for (const float v : x) {
    m1 += v;
    m2 += v * v;
    m4 += std::pow(v, 4);
  }
  const auto n = static_cast<double>(x.size());
  EXPECT_NEAR(m1 / n, 0, 0.02);
  EXPECT_NEAR(m2 / n, 4, 0.05);
  EXPECT_NEAR(m4 / n, 48, 1.5);
}

TEST(FillUniform, StaysInsideAndFillsTheInterval) {
  std::vector<float> x(10000);
  fill_uniform(x, 3, name_stream("a"), 0, -1.0f, 3.0f);
  double mean = 0;
  for (const float v : x) {
    ASSERT_GE(v, -1.0f);
    ASSERT_LE(v, 3.0f);
    mean += v;
  }
  EXPECT_NEAR(mean / 10000, 1.0, 0.05);
  EXPECT_LT(*std::min_element(x.begin(), x.end()), -0.99f);
  EXPECT_GT(*std::max_element(x.begin(), x.end()), 2.99f);
}

TEST(FillUniform, NamesAreIndependent) {
  std::vector<float> a(100), b(100);
  fill_uniform(a, 3, name_stream("a"), 0, 0, 1);
  fill_uniform(b, 3, name_stream("b"), 0, 0, 1);
  EXPECT_NE(a, b);
}

}  // namespace
}  // namespace heddle
