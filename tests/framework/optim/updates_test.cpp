#include <gtest/gtest.h>

#include <cmath>

#include "framework/optim/adamw.h"
#include "framework/optim/sgd.h"
#include "framework/optim/sum_of_squares.h"
#include "tests/support/expect_throw.h"
#include "tests/support/tensors.h"

namespace heddle {
namespace {

using kernels::adamw_update;
using kernels::sgd_update;
using kernels::sum_of_squares;

struct State {
  Tensor weight, m, v;

  explicit State(int64_t n)
      : weight(random_tensor({n}, "weight")), m(Tensor::zeros({n})), v(Tensor::zeros({n})) {}
};

AdamWStep step_of(int64_t step) {
  return {.lr = 1e-3 * static_cast<double>(step),
          .weight_decay = 0.1,
          .step = step,
          .gradient_scale = 0.5f};
}

Tensor gradient_of(int64_t n, int64_t step) {
  return random_tensor({n}, "gradient" + std::to_string(step));
}

TEST(AdamW, EqualsTheFormulaInDouble) {
  constexpr int64_t kCount = 101;
  State s(kCount);
  std::vector<double> w(s.weight.span<float>().begin(), s.weight.span<float>().end());
  std::vector<double> m(kCount), v(kCount);
  for (int64_t step = 1; step <= 5; ++step) {
    const AdamWStep o = step_of(step);
    const Tensor gradient = gradient_of(kCount, step);
    adamw_update(Cpu{}, s.weight.span<float>(), gradient.span<const float>(), s.m.span<float>(),
                 s.v.span<float>(), o);
    for (size_t i = 0; i < kCount; ++i) {
      const double g = 0.5 * gradient.data<float>()[i];
      w[i] -= o.lr * o.weight_decay * w[i];
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * g;
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * g * g;
      const double n = static_cast<double>(step);
      w[i] -= o.lr / (1 - std::pow(o.beta1, n)) * m[i] /
              (std::sqrt(v[i]) / std::sqrt(1 - std::pow(o.beta2, n)) + o.eps);
    }
  }
  expect_near(s.weight, w, 5e-7);
  expect_near(s.m, m, 1e-7);
  expect_near(s.v, v, 1e-8);
}

TEST(AdamW, ShardBordersAndThreadsDoNotChangeBits) {
  constexpr int64_t kCount = 30011;
  State whole(kCount), parts(kCount);
  ThreadPool pool(3);
  for (int64_t step = 1; step <= 3; ++step) {
    const Tensor g = gradient_of(kCount, step);
    adamw_update(Cpu{}, whole.weight.span<float>(), g.span<const float>(), whole.m.span<float>(),
                 whole.v.span<float>(), step_of(step));
    int64_t begin = 0;
    for (const int64_t end : {int64_t{1}, int64_t{6}, int64_t{29}, int64_t{20000}, kCount}) {
      const auto at = [&](const Tensor& t) { return t.rows(begin, end).span<float>(); };
      adamw_update(Cpu{&pool}, at(parts.weight), at(g), at(parts.m), at(parts.v), step_of(step));
      begin = end;
    }
  }
  EXPECT_TRUE(same_bits(parts.weight, whole.weight));
  EXPECT_TRUE(same_bits(parts.m, whole.m));
  EXPECT_TRUE(same_bits(parts.v, whole.v));
}

TEST(AdamW, MistakesAreNamed) {
  State s(4);
  const Tensor g = Tensor::zeros({3});
  EXPECT_INVALID(adamw_update(Cpu{}, s.weight.span<float>(), g.span<const float>(),
                              s.m.span<float>(), s.v.span<float>(), {}),
                 "[adamw] 4 weights, 3 gradients");
  EXPECT_INVALID(adamw_update(Cpu{}, s.weight.span<float>(), s.m.span<const float>(),
                              s.m.span<float>(), s.v.span<float>(), {.step = 0}),
                 "[adamw] step 0");
}

TEST(Sgd, EqualsTheFormulaInDouble) {
  constexpr int64_t kCount = 37;
  for (const double momentum : {0.0, 0.9}) {
    const Tensor weight = random_tensor({kCount}, "weight");
    const Tensor velocity = Tensor::zeros({momentum == 0 ? 0 : kCount});
    std::vector<double> w(weight.span<float>().begin(), weight.span<float>().end());
    std::vector<double> u(kCount);
    for (int64_t step = 1; step <= 4; ++step) {
      const Tensor gradient = gradient_of(kCount, step);
      sgd_update(Cpu{}, weight.span<float>(), gradient.span<const float>(), velocity.span<float>(),
                 {.lr = 0.1, .momentum = momentum, .weight_decay = 0.01, .gradient_scale = 2});
      for (size_t i = 0; i < kCount; ++i) {
        u[i] = momentum * u[i] + 2.0 * gradient.data<float>()[i] + 0.01 * w[i];
        w[i] -= 0.1 * u[i];
      }
    }
    expect_near(weight, w, 2e-6);
  }
}

TEST(Sgd, MissingVelocitiesAreRefused) {
  const Tensor w = Tensor::zeros({4});
  EXPECT_INVALID(sgd_update(Cpu{}, w.span<float>(), w.span<const float>(), {}, {.momentum = 0.9}),
                 "[sgd] 4 weights, 4 gradients, 0 velocities. Expected 4 velocities");
}

TEST(SumOfSquares, BlocksAreThoseOfTheWholeTensor) {
  const int64_t n = 3 * kSquareBlock + 1000;
  const Tensor x = random_tensor({n}, "x");
  const auto whole = sum_of_squares(Cpu{}, x.span<const float>(), 0);
  ASSERT_EQ(whole.size(), 4u);
  for (int64_t b = 0; b < 4; ++b) {
    double expected = 0;
    for (int64_t i = b * kSquareBlock; i < std::min(n, (b + 1) * kSquareBlock); ++i) {
      expected += static_cast<double>(x.data<float>()[i]) * x.data<float>()[i];
    }
    EXPECT_NEAR(whole[static_cast<size_t>(b)], expected, 1e-9 * expected);
  }
  // A shard that starts at a block's border.
  const auto shard =
      sum_of_squares(Cpu{}, x.rows(2 * kSquareBlock, n).span<const float>(), 2 * kSquareBlock);
  EXPECT_EQ(shard, (std::vector<double>{whole[2], whole[3]}));
  // Parts of blocks.
  const auto part = sum_of_squares(Cpu{}, x.rows(100, kSquareBlock + 5).span<const float>(), 100);
  EXPECT_EQ(part.size(), 2u);
  EXPECT_TRUE(sum_of_squares(Cpu{}, {}, 5).empty());
}

TEST(SumOfSquares, ThreadsDoNotChangeBits) {
  const Tensor x = random_tensor({5 * kSquareBlock + 77}, "x");
  const auto expected = sum_of_squares(Cpu{}, x.span<const float>(), 0);
  for (const int threads : {2, 3}) {
    ThreadPool pool(threads);
    EXPECT_EQ(sum_of_squares(Cpu{&pool}, x.span<const float>(), 0), expected);
  }
}

}  // namespace
}  // namespace heddle
