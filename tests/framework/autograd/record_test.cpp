#include "framework/autograd/record.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/support/expect_throw.h"
#include "tests/support/tensors.h"

namespace heddle {
namespace {

// y = factor * x, with a gradient in memory of its own or in the variable's slot.
Tensor times(float factor, const Tensor& x) {
  const auto apply = [factor](const Tensor& from, const Tensor& to) {
    for (int64_t i = 0; i < from.numel(); ++i) to.data<float>()[i] = factor * from.data<float>()[i];
  };
  const Tensor y = Tensor::zeros(x.shape());
  apply(x, y);
  return record(y, {x}, [apply, input = is_variable(x) ? x : x.detach()](const Tensor& dy) {
    const Tensor dx = gradient_like(input);
    apply(dy, dx);
    return Gradients{dx};
  });
}

// a + b, whose two gradients are one tensor.
Tensor add(const Tensor& a, const Tensor& b) {
  const Tensor y = a.detach().clone();
  for (int64_t i = 0; i < y.numel(); ++i) y.data<float>()[i] += b.data<float>()[i];
  return record(y, {a, b}, [](const Tensor& dy) { return Gradients{dy, dy}; });
}

const Tensor kOne = tensor_of<float>({1});

Tensor one_gradient(const Tensor& x) {
  return variable_state(x).gradient.values;
}

TEST(Tape, ATensorUsedTwiceSumsItsGradients) {
  const Tensor x = variable(tensor_of<float>({5}));
  const Tensor h = times(3, x);
  backward(add(times(2, h), add(h, times(7, x))), kOne);
  EXPECT_EQ(one_gradient(x).data<float>()[0], 3 * (2 + 1) + 7);
}

TEST(Tape, OneTensorReturnedForTwoInputsIsNotChanged) {
  // Both gradients of `add` are dy itself; x accumulates into its own copy.
  const Tensor x = variable(tensor_of<float>({1}));
  const Tensor y = variable(tensor_of<float>({1}));
  const Tensor dy = tensor_of<float>({1});
  backward(add(add(x, y), times(4, x)), dy);
  EXPECT_EQ(one_gradient(x).data<float>()[0], 5);
  EXPECT_EQ(one_gradient(y).data<float>()[0], 1);
  EXPECT_EQ(dy.data<float>()[0], 1);
}

TEST(Tape, GradientsOfTwoBackwardsAccumulate) {
  const Tensor x = variable(tensor_of<float>({1}));
  backward(times(2, x), kOne);
  backward(times(3, x), kOne);
  EXPECT_EQ(one_gradient(x).data<float>()[0], 5);
}

TEST(Tape, TheSlotHoldsTheGradient) {
  const Tensor slot = Tensor::zeros({1});
  const Tensor x = variable(tensor_of<float>({1}), slot);
  backward(times(2, x), kOne);
  EXPECT_EQ(one_gradient(x).raw(), slot.raw());
  EXPECT_EQ(slot.data<float>()[0], 2);
}

TEST(Tape, TheSlotHoldsTheSumOfSeveralUses) {
  const Tensor slot = Tensor::zeros({1});
  const Tensor x = variable(tensor_of<float>({1}), slot);
  backward(add(times(2, x), add(times(3, x), x)), kOne);
  EXPECT_EQ(one_gradient(x).raw(), slot.raw());
  EXPECT_EQ(slot.data<float>()[0], 6);
}

TEST(Tape, NothingIsRecordedWithoutVariablesOrUnderNoGrad) {
  const Tensor x = variable(tensor_of<float>({1}));
  EXPECT_EQ(times(2, tensor_of<float>({1})).node(), nullptr);
  {
    const NoGrad no_grad;
    EXPECT_FALSE(needs_gradient({x}));
    EXPECT_EQ(times(2, x).node(), nullptr);
    const NoGrad nested;
  }
  EXPECT_NE(times(2, x).node(), nullptr);
}

TEST(Tape, MemoryIsFreedAsItRuns) {
  std::weak_ptr<int> saved;
  const Tensor x = variable(tensor_of<float>({1}));
  Tensor y;
  {
    auto held = std::make_shared<int>(1);
    saved = held;
    y = record(tensor_of<float>({1}), {x},
               [held](const Tensor& dy) { return Gradients{dy.clone()}; });
  }
  EXPECT_FALSE(saved.expired());
  backward(y, kOne);
  EXPECT_TRUE(saved.expired());
}

Tensor sparse(const Tensor& table, const std::vector<int32_t>& rows, float value) {
  return record(kOne.clone(), {table}, [rows, value](const Tensor&) {
    const Tensor values = Tensor::empty({static_cast<int64_t>(rows.size()), 2});
    values.fill(value);
    return Gradients{Gradient(tensor_of(rows), values)};
  });
}

TEST(Tape, RowSparseGradientsMerge) {
  const Tensor table = variable(Tensor::zeros({5, 2}));
  backward(add(sparse(table, {0, 3}, 1), sparse(table, {1, 3}, 2)), kOne);
  const Gradient& g = variable_state(table).gradient;
  ASSERT_TRUE(g.sparse());
  EXPECT_EQ(std::vector<int32_t>(g.rows.span<int32_t>().begin(), g.rows.span<int32_t>().end()),
            (std::vector<int32_t>{0, 1, 3}));
  expect_near(g.values, {1, 1, 2, 2, 3, 3}, 0);
}

TEST(Tape, RowSparseAndDenseGradientsAdd) {
  const Tensor table = variable(Tensor::zeros({3, 2}));
  const Tensor dense = record(kOne.clone(), {table}, [](const Tensor&) {
    const Tensor g = Tensor::empty({3, 2});
    g.fill(10);
    return Gradients{g};
  });
  backward(add(dense, sparse(table, {1}, 1)), kOne);
  expect_near(one_gradient(table), {10, 10, 11, 11, 10, 10}, 0);
}

TEST(Saved, KeepsDataUnlessItsOpCanMakeThemAgain) {
  const Tensor x = variable(tensor_of<float>({5}));
  EXPECT_EQ(Saved(x).get().raw(), x.raw());
  int made = 0;
  const auto again = [&made] {
    ++made;
    return tensor_of<float>({7});
  };
  std::optional<Saved> saved;
  {
    const Tensor y = record(
        tensor_of<float>({7}), {x}, [](const Tensor& dy) { return Gradients{dy}; }, again);
    saved.emplace(y);
    backward(y, kOne);
  }
  EXPECT_EQ(made, 0);
  expect_near(saved->get(), {7}, 0);
  EXPECT_EQ(made, 1);
}

TEST(Tape, MistakesAreNamed) {
  const Tensor x = variable(Tensor::zeros({2}));
  EXPECT_INVALID(backward(Tensor::zeros({1}), kOne), "[1] depends on no variable");
  EXPECT_INVALID(backward(times(1, x), kOne), "dy of shape [1] for y of shape [2]");
  EXPECT_INVALID(variable(Tensor::zeros({2}), Tensor::zeros({3})),
                 "a slot of shape [3] for a value of shape [2]");
  EXPECT_INVALID(variable_state(Tensor::zeros({4})), "[variable] a tensor of shape [4]");

  const Tensor y = times(1, x);
  backward(y, Tensor::zeros({2}));
  EXPECT_INVALID(backward(y, Tensor::zeros({2})), "this tape has been run before");

  const Tensor wrong_count =
      record(Tensor::zeros({2}), {x}, [](const Tensor&) { return Gradients{}; });
  EXPECT_INVALID(backward(wrong_count, Tensor::zeros({2})), "0 gradients for 1 inputs");
}

TEST(Tape, GradientsOfDifferentShapesDoNotMeet) {
  const Tensor x = variable(Tensor::zeros({2}));
  const Tensor y = record(Tensor::zeros({2}), {x, x}, [](const Tensor&) {
    return Gradients{Tensor::zeros({3}), Tensor::zeros({2})};
  });
  EXPECT_INVALID(backward(y, Tensor::zeros({2})), "gradients of shapes [3] and [2] meet");
}

TEST(Tape, ARowSparseGradientStopsAtAVariable) {
  const Tensor x = variable(Tensor::zeros({2, 2}));
  EXPECT_INVALID(backward(sparse(times(1, x), {0}, 1), kOne),
                 "a row-sparse gradient reached an op's output");
}

}  // namespace
}  // namespace heddle
