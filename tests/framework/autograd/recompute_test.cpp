#include "framework/autograd/recompute.h"

#include <gtest/gtest.h>

#include "framework/autograd/leaves.h"
#include "framework/autograd/record.h"
#include "tests/support/tensors.h"

namespace heddle {
namespace {

// a b, element by element; keeps both for its gradients.
Tensor multiply(const Tensor& a, const Tensor& b) {
  const auto product = [](const Tensor& x, const Tensor& y) {
    const Tensor z = Tensor::empty_like(x);
    for (int64_t i = 0; i < z.numel(); ++i) {
      z.data<float>()[i] = x.data<float>()[i] * y.data<float>()[i];
    }
    return z;
  };
  return record(product(a, b), {a, b}, [product, x = a.detach(), y = b.detach()](const Tensor& dy) {
    return Gradients{product(dy, y), product(dy, x)};
  });
}

const Tensor& gradient_of(const Tensor& x) {
  return variable_state(x).gradient.values;
}

const Tensor kOnes = tensor_of<float>({1, 1});

TEST(Recompute, GivesTheSameValuesAndGradients) {
  const Tensor x = tensor_of<float>({0.1f, 0.7f});
  const Tensor w = tensor_of<float>({0.3f, -1.3f});
  const auto run = [&](bool again, Tensor& dx, Tensor& dw) {
    const Tensor vx = variable(x), vw = variable(w, Tensor::zeros({2}));
    const auto body = [&](const Tensor& in) { return multiply(multiply(in, vw), in); };
    const Tensor h = multiply(vx, vx);
    const Tensor y = multiply(again ? recompute(body, h) : body(h), vw);
    backward(y, kOnes);
    dx = gradient_of(vx);
    dw = gradient_of(vw);
    EXPECT_EQ(dw.raw(), variable_state(vw).slot.raw());
    return y.detach();
  };
  Tensor dx, dw, dx_again, dw_again;
  EXPECT_TRUE(same_bits(run(false, dx, dw), run(true, dx_again, dw_again)));
  EXPECT_TRUE(same_bits(dx, dx_again));
  EXPECT_TRUE(same_bits(dw, dw_again));
}

TEST(Recompute, NestsAndRunsTheFunctionOnceMore) {
  const Tensor x = variable(tensor_of<float>({2, 3}));
  int inner = 0, outer = 0;
  const Tensor y = recompute(
      [&](const Tensor& a) {
        ++outer;
        return recompute(
            [&](const Tensor& b) {
              ++inner;
              return multiply(b, b);
            },
            a);
      },
      x);
  EXPECT_EQ(outer, 1);
  EXPECT_EQ(inner, 1);
  backward(y, kOnes);
  EXPECT_EQ(outer, 2);
  EXPECT_EQ(inner, 3);
  EXPECT_TRUE(same_bits(gradient_of(x), tensor_of<float>({4, 6})));
}

TEST(Recompute, OfAConstantReachesTheVariablesInside) {
  const Tensor w = variable(tensor_of<float>({5, 7}));
  const auto body = [&](const Tensor& x) { return multiply(x, w); };
  backward(recompute(body, tensor_of<float>({2, 3})), kOnes);
  EXPECT_TRUE(same_bits(gradient_of(w), tensor_of<float>({2, 3})));
}

TEST(Recompute, RecordsNothingWhereNothingIsTrained) {
  const Tensor c = tensor_of<float>({5, 7});
  const auto body = [&](const Tensor& x) { return multiply(x, c); };
  EXPECT_EQ(recompute(body, c).node(), nullptr);
  const NoGrad no_grad;
  int runs = 0;
  const Tensor w = variable(c);
  const Tensor y = recompute(
      [&](const Tensor& x) {
        ++runs;
        return multiply(x, w);
      },
      c);
  EXPECT_EQ(y.node(), nullptr);
  EXPECT_EQ(runs, 1);
}

TEST(Recompute, RunsAgainUnderTheLeavesOfTheFirstTime) {
  const Tensor x = variable(tensor_of<float>({1, 2}));
  std::vector<LeafOffsets> seen;
  std::vector<std::shared_ptr<const RowShare>> shares;
  const auto body = [&](const Tensor& in) {
    seen.push_back(*leaves_of(2));
    shares.push_back(row_share());
    return multiply(in, in);
  };
  Tensor y;
  {
    const LeafScope scope(std::vector<LeafOffsets>{{0, 1, 2}});
    const RowShareScope rows(
        std::make_shared<const RowShare>(RowShare{.offsets = {0, 2}, .all_gather = {}}));
    y = recompute(body, x);
  }
  backward(y, kOnes);
  EXPECT_EQ(seen, (std::vector<LeafOffsets>{{0, 1, 2}, {0, 1, 2}}));
  EXPECT_NE(shares[0], nullptr);
  EXPECT_EQ(shares[1], shares[0]);
  EXPECT_EQ(*leaves_of(2), (LeafOffsets{0, 2}));
  EXPECT_EQ(row_share(), nullptr);
}

}  // namespace
}  // namespace heddle
