// Every instruction set that this machine has computes the same, within rounding: what a kernel
// does for AVX2 it does for SSE4 and for the baseline.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "framework/ops/ops.h"
#include "tests/framework/ops/forced_target.h"
#include "tests/support/tensors.h"

namespace heddle {
namespace {

void add_output_and_gradients(std::vector<Tensor>& all, const std::vector<Tensor>& inputs,
                              const std::function<Tensor(const std::vector<Tensor>&)>& op) {
  std::vector<Tensor> variables;
  for (const Tensor& input : inputs) variables.push_back(variable(input));
  const Tensor y = op(variables);
  backward(y, random_tensor(y.shape(), "dy"));
  all.push_back(y.detach());
  for (const Tensor& v : variables) all.push_back(dense_gradient(v));
}

std::vector<Tensor> everything() {
  std::vector<Tensor> all;
  const std::vector<int64_t> lengths = {13, 1, 41, 6};
  const Segments segments = Segments::from(std::vector<int32_t>{0, 13, 14, 55, 61});
  const Dropout drop{.p = 0.2f, .seed = 4, .step = 5, .layer = 6, .row_keys = row_keys(lengths)};
  for (const int64_t head_dim : {5, 12, 32}) {
    for (const bool causal : {false, true}) {
      add_output_and_gradients(
          all, {random_tensor({61, 6 * head_dim}, "qkv")}, [&](const std::vector<Tensor>& in) {
            return attention(in[0], segments,
                             {.heads = 2,
                              .scale = 1 / std::sqrt(static_cast<float>(head_dim)),
                              .causal = causal,
                              .dropout = drop});
          });
    }
  }
  for (const int64_t n : {7, 100}) {
    const Tensor x = random_tensor({61, n}, "x", -4, 4);
    add_output_and_gradients(all,
                             {x, random_tensor({61, n}, "residual"), random_tensor({n}, "gamma"),
                              random_tensor({n}, "beta")},
                             [&](const std::vector<Tensor>& in) {
                               return dropout_add_layer_norm(in[0], in[1], in[2], in[3], 1e-6f,
                                                             drop);
                             });
    for (const auto& op : {gelu, heddle::tanh, relu, softmax}) {
      add_output_and_gradients(all, {x}, [&](const auto& in) { return op(in[0]); });
    }
    add_output_and_gradients(all, {x}, [&](const auto& in) { return dropout(in[0], drop); });
  }
  return all;
}

TEST(Targets, ComputeTheSame) {
  const std::vector<Tensor> expected = everything();
  const std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();
  ASSERT_GE(targets.size(), 2u);
  const int64_t best = std::ranges::min(targets);  // better ones have lower bits
  for (const int64_t target : targets) {
    SCOPED_TRACE(hwy::TargetName(target));
    const ForcedTarget forced(target);
    const std::vector<Tensor> got = everything();
    ASSERT_EQ(got.size(), expected.size());
    bool equal = true;  // only where nothing was forced: sums are cut by lanes
    for (size_t i = 0; i < got.size(); ++i) {
      const auto values = expected[i].span<float>();
      SCOPED_TRACE(i);
      equal = equal && same_bits(got[i], expected[i]);
      expect_near(got[i], std::vector<double>(values.begin(), values.end()), 4e-5);
    }
    EXPECT_EQ(equal, target == best);
  }
}

}  // namespace
}  // namespace heddle
