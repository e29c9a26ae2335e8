#include "framework/optim/lazy_adamw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <random>

#include "framework/optim/schedule.h"
#include "tests/support/expect_throw.h"
#include "tests/support/tensors.h"

namespace heddle {
namespace {

constexpr int64_t kRows = 41;
constexpr int64_t kWidth = 83;  // a block of vectors, a vector and a tail
constexpr int64_t kSteps = 400;

// A table and its moments. Row 3 is zero and never has a gradient, as a padding row.
struct State {
  Tensor weight, m, v;

  State()
      : weight(random_tensor({kRows * kWidth}, "weight")),
        m(Tensor::zeros({kRows * kWidth})),
        v(Tensor::zeros({kRows * kWidth})) {
    weight.rows(3 * kWidth, 4 * kWidth).fill(0);
  }
  LazyAdamW::Table table(int64_t first_row = 0) const {
    return {.weight = weight.span<float>(),
            .m = m.span<float>(),
            .v = v.span<float>(),
            .width = kWidth,
            .first_row = first_row};
  }
  std::span<float> row(const Tensor& t, int64_t row) const {
    return t.span<float>().subspan(static_cast<size_t>(row * kWidth), kWidth);
  }
};

void expect_equal(const State& a, const State& b, int64_t step) {
  EXPECT_TRUE(same_bits(a.weight, b.weight)) << step;
  EXPECT_TRUE(same_bits(a.m, b.m)) << step;
  EXPECT_TRUE(same_bits(a.v, b.v)) << step;
}

// Steps whose rows come and go: row r has a gradient in about one of (r + 1)² / 4 steps. Gradients
// are of many sizes, some exactly zero.
class Steps {
 public:
  explicit Steps(double weight_decay) : weight_decay_(weight_decay) {}

  struct Step {
    AdamWStep options;
    std::vector<int64_t> ids;
    Tensor gradient, whole;  // of the rows, and of the table
  };

  Step next() {
    ++step_;
    Step s;
    const Schedule schedule{.shape = Schedule::Shape::kCosine, .lr = 2e-3, .warmup_steps = 20};
    s.options = {.lr = learning_rate(schedule, step_ - 1, kSteps),
                 .weight_decay = weight_decay_,
                 .step = step_,
                 .gradient_scale = uniform(0.25f, 1)};  // clipping
    for (int64_t r = 0; r < kRows; ++r) {
      const float every = static_cast<float>((r + 1) * (r + 1)) / 4;
      if (r != 3 && uniform(0, every) < 1) s.ids.push_back(r);
    }
    s.whole = Tensor::zeros({kRows * kWidth});
    std::vector<float> values;
    for (const int64_t id : s.ids) {
      const float size = std::pow(10.0f, uniform(-12, 0));
      for (int64_t i = 0; i < kWidth; ++i) {
        values.push_back(uniform(0, 1) < 0.1f ? 0 : size * uniform(-1, 1));
        s.whole.data<float>()[id * kWidth + i] = values.back();
      }
    }
    s.gradient = Tensor::from<float>(values, {static_cast<int64_t>(values.size())});
    return s;
  }

  float uniform(float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(random_);
  }

 private:
  std::mt19937 random_{7};
  double weight_decay_;
  int64_t step_ = 0;
};

void dense_step(const State& state, const Steps::Step& s) {
  kernels::adamw_update(Cpu{}, state.weight.span<float>(), s.whole.span<const float>(),
                        state.m.span<float>(), state.v.span<float>(), s.options);
}

TEST(LazyAdamW, HasTheBitsOfTheDenseUpdateWheneverItIsAsked) {
  for (const double decay : {0.0, 0.1}) {
    State dense, lazy;
    ThreadPool pool(2);
    LazyAdamW table(lazy.table(), Device::cpu(&pool));
    Steps steps(decay);
    for (int64_t step = 1; step <= kSteps; ++step) {
      const Steps::Step s = steps.next();
      dense_step(dense, s);
      table.step(s.ids, s.gradient.span<const float>(), s.options);
      // A reader of a few rows, some of them twice, and none that is not asked for.
      const auto read = static_cast<int32_t>(steps.uniform(0, kRows - 1));
      const std::vector<int32_t> rows = {read, 40, read};
      if (step % 3 == 0) table.apply(rows);
      for (const int32_t row : rows) {
        if (step % 3 != 0) break;
        EXPECT_TRUE(std::ranges::equal(lazy.row(lazy.weight, row), dense.row(dense.weight, row)))
            << "row " << row << ", step " << step;
      }
      if (step % 97 != 0 && step != kSteps) continue;
      table.apply();
      expect_equal(lazy, dense, step);
    }
  }
}

TEST(LazyAdamW, RowsWithoutAGradientAreLeftAsTheyAreUntilTheyAreRead) {
  State state;
  const State before;
  LazyAdamW table(state.table(100), Device::cpu());
  const std::vector<float> gradient(kWidth, 1);
  const std::vector<int64_t> ids = {1};
  const AdamWStep options = {.weight_decay = 0.1};
  table.step(ids, gradient, options);
  EXPECT_FALSE(std::ranges::equal(state.row(state.weight, 1), before.row(before.weight, 1)));
  EXPECT_TRUE(std::ranges::equal(state.row(state.weight, 2), before.row(before.weight, 2)));
  // Rows are named as in the whole table; those of other shards are passed over.
  table.apply(std::vector<int32_t>{2, 99, 102, 100 + kRows});
  EXPECT_FALSE(std::ranges::equal(state.row(state.weight, 2), before.row(before.weight, 2)));
  EXPECT_TRUE(std::ranges::equal(state.row(state.weight, 4), before.row(before.weight, 4)));
}

// The state is written out and read by another optimizer, as a run does that is resumed.
TEST(LazyAdamW, GoesOnFromStatesThatWereLoaded) {
  State dense, first, second;
  std::optional<LazyAdamW> table(std::in_place, first.table(), Device::cpu());
  Steps steps(0.01);
  for (int64_t step = 1; step <= kSteps; ++step) {
    const Steps::Step s = steps.next();
    dense_step(dense, s);
    table->step(s.ids, s.gradient.span<const float>(), s.options);
    if (step != kSteps / 2) continue;
    table->apply();
    second.weight.copy_from(first.weight);
    second.m.copy_from(first.m);
    second.v.copy_from(first.v);
    table.emplace(second.table(), Device::cpu());
    table->look_again();
  }
  table->apply();
  expect_equal(second, dense, kSteps);
}

TEST(LazyAdamW, RemembersAsManySteps) {
  constexpr int64_t kMany = 40000;
  const std::vector<float> start = {0.5f, -3.0f};
  std::vector<float> dense = start, lazy = start, dense_m(2), dense_v(2), lazy_m(2), lazy_v(2);
  LazyAdamW table({.weight = lazy, .m = lazy_m, .v = lazy_v, .width = 1}, Device::cpu());
  for (int64_t step = 1; step <= kMany; ++step) {
    const AdamWStep options = {.lr = 1e-3, .weight_decay = 0.01, .step = step};
    const bool first = step == 1;
    const std::vector<int64_t> ids(first ? 1 : 0, 1);
    const std::vector<float> gradient(ids.size(), 2.0f);
    kernels::adamw_update(Cpu{}, dense, std::vector<float>{0.0f, first ? 2.0f : 0.0f}, dense_m,
                          dense_v, options);
    table.step(ids, gradient, options);
  }
  table.apply();
  EXPECT_EQ(lazy, dense);
  EXPECT_EQ(lazy_m, dense_m);
  EXPECT_EQ(lazy_v, dense_v);
}

TEST(LazyAdamW, MistakesAreNamed) {
  State state;
  LazyAdamW table(state.table(), Device::cpu());
  const std::vector<int64_t> ids = {kRows};
  const std::vector<float> gradient(kWidth);
  EXPECT_INVALID(table.step({}, {}, {.step = -2}), "[adamw] step -2");
  EXPECT_INVALID(table.step({}, {}, {.eps = 0}), "[lazy_adamw] eps 0");
  EXPECT_INVALID(table.step(ids, {}, {}), "[lazy_adamw] 0 gradients for 1 rows of 83");
  EXPECT_INVALID(table.step(ids, gradient, {}), "[lazy_adamw] gradients of rows 41 to 41");
  table.step({}, {}, {});
  EXPECT_INVALID(table.look_again(), "[lazy_adamw] rows are behind by up to 1 steps");
  LazyAdamW::Table unequal = state.table();
  unequal.m = unequal.m.first(kWidth);
  EXPECT_INVALID(LazyAdamW(unequal, Device::cpu()), "[lazy_adamw] 3403 weights, 83 and 3403");
}

}  // namespace
}  // namespace heddle
