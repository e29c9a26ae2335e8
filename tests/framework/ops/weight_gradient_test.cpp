#include "framework/ops/detail/weight_gradient.h"

#include <gtest/gtest.h>

#include <vector>

#include "framework/ops/cast.h"
#include "tests/framework/ops/linear_reference.h"

namespace heddle {
namespace {

using Offsets = std::vector<int64_t>;

struct Sums {
  std::vector<float> dw, db;
  bool operator==(const Sums&) const = default;
};

// Of rows [leaves.front(), leaves.back()) of dy and x, f32 or bf16.
Sums gradient(const Tensor& dy, const Tensor& x, const Offsets& leaves,
              ThreadPool* pool = nullptr) {
  const int64_t out = dy.dim(1), in = x.dim(1), first = leaves.front();
  Sums sums{std::vector<float>(static_cast<size_t>(out * in), 7.0f),
            std::vector<float>(static_cast<size_t>(out), 7.0f)};
  Offsets offsets;
  for (const int64_t at : leaves) offsets.push_back(at - first);
  const auto row = [&](const Tensor& t) {
    return static_cast<const std::byte*>(t.raw()) + first * t.dim(1) * size_of(t.dtype());
  };
  kernels::weight_gradient(Cpu{pool}, {.type = dy.dtype(),
                                       .dy = row(dy),
                                       .x = row(x),
                                       .outputs = out,
                                       .inputs = in,
                                       .leaves = offsets,
                                       .dw = sums.dw.data(),
                                       .db = sums.db.data()});
  return sums;
}

Sums merged(const Sums& a, const Sums& b) {
  Sums sum = a;
  for (size_t i = 0; i < a.dw.size(); ++i) sum.dw[i] = a.dw[i] + b.dw[i];
  for (size_t i = 0; i < a.db.size(); ++i) sum.db[i] = a.db[i] + b.db[i];
  return sum;
}

// The fixed tree over leaves that are summed one call each.
Sums tree(const Tensor& dy, const Tensor& x, const Offsets& leaves) {
  std::vector<Sums> level;
  for (size_t i = 0; i + 1 < leaves.size(); ++i) {
    level.push_back(gradient(dy, x, {leaves[i], leaves[i + 1]}));
  }
  while (level.size() > 1) {
    std::vector<Sums> next;
    for (size_t i = 0; i < level.size(); i += 2) {
      next.push_back(i + 1 < level.size() ? merged(level[i], level[i + 1]) : level[i]);
    }
    level = std::move(next);
  }
  return level[0];
}

struct Sizes {
  int64_t out, in;
};

// Tiles are 6 x 16 (AVX2) or 12 x 32 (AVX-512): whole ones, edges, less than one, several tasks.
const std::vector<Sizes> kSizes = {{1, 1}, {2, 384}, {13, 37}, {96, 64}, {150, 300}};

TEST(WeightGradient, ValuesAreRight) {
  for (const auto& [out, in] : kSizes) {
    for (const Offsets& leaves : {Offsets{0, 1}, Offsets{0, 101}, Offsets{0, 20, 20, 63, 101}}) {
      const Tensor dy = noise({leaves.back(), out}, 1);
      const Tensor x = noise({leaves.back(), in}, 2);
      const Sums sums = gradient(dy, x, leaves);
      EXPECT_LT(largest_error(sums.dw, reference_weight_gradient(dy, x)), 1e-5);
      EXPECT_LT(largest_error(sums.db, reference_column_sums(dy)), 1e-5);
    }
  }
}

TEST(WeightGradient, EightLeavesInOneCallAreTheTreeOfFewer) {
  const Offsets leaves = {0,   54,  101, 101, 160,
                          161, 200, 230, 230};  // the third and last are empty
  for (const auto& [out, in] : kSizes) {
    const Tensor dy = noise({230, out}, 1);
    const Tensor x = noise({230, in}, 2);
    const Sums eight = gradient(dy, x, leaves);
    EXPECT_EQ(eight, tree(dy, x, leaves));
    const Sums left = gradient(dy, x, {leaves.begin(), leaves.begin() + 5});
    const Sums right = gradient(dy, x, {leaves.begin() + 4, leaves.end()});
    EXPECT_EQ(eight, merged(left, right));
    // The order matters, or this test shows nothing.
    EXPECT_NE(eight, gradient(dy, x, {0, 230}));
  }
}

TEST(WeightGradient, AnyNumberOfLeavesFollowsTheTree) {
  const Tensor dy = noise({64, 14}, 1);
  const Tensor x = noise({64, 18}, 2);
  for (int64_t count = 1; count <= 17; ++count) {
    Offsets leaves;
    for (int64_t i = 0; i <= count; ++i) leaves.push_back(64 * i / count);
    EXPECT_EQ(gradient(dy, x, leaves), tree(dy, x, leaves)) << count << " leaves";
  }
}

TEST(WeightGradient, BitsDoNotDependOnThreadsAndRepeat) {
  const Offsets leaves = {0, 54, 101, 101, 160};
  for (const auto& [out, in] : kSizes) {
    const Tensor dy = noise({160, out}, 1);
    const Tensor x = noise({160, in}, 2);
    const Sums alone = gradient(dy, x, leaves);
    for (const int threads : {1, 2, 3, 4}) {
      ThreadPool pool(threads);
      EXPECT_EQ(gradient(dy, x, leaves, &pool), alone);
      EXPECT_EQ(gradient(dy, x, leaves, &pool), alone);
    }
  }
}

TEST(WeightGradient, EmptyLeavesArePositiveZeros) {
  const Tensor dy = noise({0, 9}, 1);
  const Tensor x = noise({0, 5}, 2);
  const Sums sums = gradient(dy, x, {0, 0, 0});
  for (const float v : sums.dw) EXPECT_EQ(std::bit_cast<uint32_t>(v), 0u);
  for (const float v : sums.db) EXPECT_EQ(std::bit_cast<uint32_t>(v), 0u);
}

TEST(WeightGradient, EitherResultMayBeLeftOut) {
  const Tensor dy = noise({20, 9}, 1);
  const Tensor x = noise({20, 5}, 2);
  const Sums both = gradient(dy, x, {0, 20});
  const Offsets leaves = {0, 20};
  std::vector<float> dw(45), db(9);
  kernels::WeightGradient request{.dy = dy.raw(),
                                  .x = x.raw(),
                                  .outputs = 9,
                                  .inputs = 5,
                                  .leaves = leaves,
                                  .dw = dw.data(),
                                  .db = nullptr};
  kernels::weight_gradient(Cpu{}, request);
  request.dw = nullptr;
  request.db = db.data();
  kernels::weight_gradient(Cpu{}, request);
  EXPECT_EQ(dw, both.dw);
  EXPECT_EQ(db, both.db);
}

TEST(WeightGradient, RefusesNoLeaves) {
  const Offsets leaves = {0};
  const kernels::WeightGradient request{.leaves = leaves};
  EXPECT_INVALID(kernels::weight_gradient(Cpu{}, request), "0 leaves");
}

// In bf16, the result `shift` numbers behind the beginning of a cache line.
std::vector<float> gradient_bf16(const Tensor& dy, const Tensor& x, const Offsets& leaves,
                                 ThreadPool* pool, int64_t shift) {
  const int64_t out = dy.dim(1), in = x.dim(1);
  const Tensor dw = Tensor::empty({shift + out * in});
  kernels::weight_gradient(Cpu{pool}, {.type = DType::kBF16,
                                       .dy = dy.raw(),
                                       .x = x.raw(),
                                       .outputs = out,
                                       .inputs = in,
                                       .leaves = leaves,
                                       .dw = dw.data<float>() + shift});
  return {dw.data<float>() + shift, dw.data<float>() + shift + out * in};
}

TEST(WeightGradientBF16, IsTheSameWhereverItLiesAndOnAnyThreads) {
  const Tensor dy = cast(noise({83, 96}, 1), DType::kBF16);
  const Tensor x = cast(noise({83, 160}, 2), DType::kBF16);
  const std::vector<double> expected =
      reference_weight_gradient(cast(dy, DType::kF32), cast(x, DType::kF32));
  for (const Offsets& leaves : {Offsets{0, 83}, Offsets{0, 20, 20, 50, 83}}) {
    const std::vector<float> one = gradient_bf16(dy, x, leaves, nullptr, 0);
    EXPECT_LT(largest_error(one, expected), 1e-5);
    for (const int threads : {1, 2, 4}) {
      ThreadPool pool(threads);
      for (const int64_t shift : {0, 1, 16}) {
        EXPECT_EQ(gradient_bf16(dy, x, leaves, &pool, shift), one) << threads << " " << shift;
      }
    }
  }
  EXPECT_EQ(gradient_bf16(dy, x, {0, 0}, nullptr, 0), std::vector<float>(96 * 160));
}

TEST(WeightGradientBF16, LeavesFollowTheTree) {
  const auto bf16 = [](int64_t columns, uint64_t seed) {
    return cast(noise({230, columns}, seed), DType::kBF16);
  };
  const Tensor dy = bf16(96, 1), x = bf16(160, 2);
  for (int64_t count = 1; count <= 17; ++count) {
    Offsets leaves;
    for (int64_t i = 0; i <= count; ++i) leaves.push_back(230 * i / count);
    const Sums whole = gradient(dy, x, leaves);
    EXPECT_EQ(whole, tree(dy, x, leaves)) << count << " leaves";
    if (count > 1) {
      EXPECT_NE(whole, gradient(dy, x, {0, 230}));
    }
  }
  const Offsets some_empty = {0, 54, 101, 101, 160, 161, 200, 230, 230};
  EXPECT_EQ(gradient(dy, x, some_empty), tree(dy, x, some_empty));
  const Offsets empty = {0, 0, 0};
  EXPECT_EQ(gradient(dy, x, empty), (Sums{std::vector<float>(96 * 160), std::vector<float>(96)}));
}

// Of more rows than the first-level cache takes at a time.
TEST(WeightGradientBF16, LongLeavesAreRight) {
  for (const int64_t rows : {512, 513, 1024, 1100}) {
    const Tensor dy = cast(noise({rows, 64}, 1), DType::kBF16);
    const Tensor x = cast(noise({rows, 608}, 2), DType::kBF16);
    const Tensor wide_dy = cast(dy, DType::kF32), wide_x = cast(x, DType::kF32);
    const std::vector<double> expected = reference_weight_gradient(wide_dy, wide_x);
    const std::vector<double> expected_sums = reference_column_sums(wide_dy);
    for (const Offsets& leaves : {Offsets{0, rows}, Offsets{0, 100, rows}}) {
      const Sums sums = gradient(dy, x, leaves);
      EXPECT_LT(largest_error(sums.dw, expected), 3e-5) << rows;
      EXPECT_LT(largest_error(sums.db, expected_sums), 3e-5) << rows;
    }
  }
}

// Several tasks that pack, and several strips; the last of each is narrower.
TEST(WeightGradientBF16, AWideOneIsRightOnAnyThreads) {
  const Tensor dy = cast(noise({130, 544}, 1), DType::kBF16);
  const Tensor x = cast(noise({130, 608}, 2), DType::kBF16);
  const Tensor wide_dy = cast(dy, DType::kF32), wide_x = cast(x, DType::kF32);
  for (const Offsets& leaves : {Offsets{0, 130}, Offsets{0, 41, 41, 130}}) {
    const Sums alone = gradient(dy, x, leaves);
    EXPECT_LT(largest_error(alone.dw, reference_weight_gradient(wide_dy, wide_x)), 1e-5);
    EXPECT_LT(largest_error(alone.db, reference_column_sums(wide_dy)), 1e-5);
    for (const int threads : {2, 3}) {
      ThreadPool pool(threads);
      EXPECT_EQ(gradient(dy, x, leaves, &pool), alone);
    }
    // The sums of columns have a kernel of their own where dw is left out.
    std::vector<float> db(544);
    kernels::weight_gradient(Cpu{}, {.type = DType::kBF16,
                                     .dy = dy.raw(),
                                     .x = x.raw(),
                                     .outputs = 544,
                                     .inputs = 608,
                                     .leaves = leaves,
                                     .db = db.data()});
    EXPECT_EQ(db, alone.db);
    EXPECT_EQ(gradient_bf16(dy, x, leaves, nullptr, 0), alone.dw);
  }
}

}  // namespace
}  // namespace heddle
