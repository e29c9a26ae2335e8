#include "framework/ops/layer_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "framework/autograd/leaves.h"
#include "tests/support/expect_throw.h"
#include "tests/support/gradient_check.h"

namespace heddle {
namespace {

constexpr float kEps = 1e-12f;

std::vector<double> layer_norm_oracle(const Tensor& z, const Tensor& gamma, const Tensor& beta,
                                      double eps) {
  const int64_t n = z.dim(1);
  std::vector<double> y;
  for (int64_t row = 0; row < z.dim(0); ++row) {
    const float* x = z.data<float>() + row * n;
    double mean = 0, variance = 0;
    for (int64_t c = 0; c < n; ++c) mean += x[c] / static_cast<double>(n);
    for (int64_t c = 0; c < n; ++c) variance += (x[c] - mean) * (x[c] - mean);
    variance /= static_cast<double>(n);
    for (int64_t c = 0; c < n; ++c) {
      y.push_back((x[c] - mean) / std::sqrt(variance + eps) * gamma.data<float>()[c] +
                  beta.data<float>()[c]);
    }
  }
  return y;
}

struct Inputs {
  Tensor x, residual, gamma, beta;
  Dropout dropout;

  Inputs(int64_t rows, int64_t n, float p)
      : x(random_tensor({rows, n}, "x", -3, 3)),
        residual(random_tensor({rows, n}, "residual", 0, 4)),
        gamma(random_tensor({n}, "gamma", 0.5f, 1.5f)),
        beta(random_tensor({n}, "beta")),
        dropout{.p = p, .seed = 3, .step = 2, .layer = 1, .row_keys = row_keys({rows})} {}
};

TEST(LayerNorm, ValuesEqualThePlainLoops) {
  for (const int64_t n : {1, 3, 12, 64, 65, 100, 312, 384, 768}) {
    const Inputs in(7, n, 0);
    expect_near(layer_norm(in.x, in.gamma, in.beta, 1e-6f),
                layer_norm_oracle(in.x, in.gamma, in.beta, 1e-6), 5e-6);
  }
}

TEST(LayerNorm, LargeMeansKeepTheirDigits) {
  const Tensor x = random_tensor({4, 384}, "x", 999, 1001);
  const Inputs in(4, 384, 0);
  expect_near(layer_norm(x, in.gamma, in.beta, kEps), layer_norm_oracle(x, in.gamma, in.beta, kEps),
              2e-3);
}

TEST(LayerNorm, FusedEqualsItsParts) {
  for (const float p : {0.0f, 0.2f}) {
    for (const int64_t n : {12, 100, 384}) {
      const Inputs in(9, n, p);
      const Tensor dropped = dropout(in.x, in.dropout);
      Tensor z = Tensor::empty_like(in.x);
      for (int64_t i = 0; i < z.numel(); ++i) {
        z.data<float>()[i] = dropped.data<float>()[i] + in.residual.data<float>()[i];
      }
      const Tensor fused =
          dropout_add_layer_norm(in.x, in.residual, in.gamma, in.beta, kEps, in.dropout);
      EXPECT_TRUE(same_bits(fused, layer_norm(z, in.gamma, in.beta, kEps)));
    }
  }
}

TEST(LayerNorm, TrainingAndInferenceHaveTheSameBits) {
  const Inputs in(5, 100, 0.1f);
  const auto run = [&](const Tensor& x) {
    return dropout_add_layer_norm(x, in.residual, in.gamma, in.beta, kEps, in.dropout).detach();
  };
  EXPECT_TRUE(same_bits(run(in.x), run(variable(in.x))));
}

TEST(LayerNorm, GradientsEqualFiniteDifferences) {
  for (const int64_t n : {5, 12, 33, 96}) {
    const Inputs in(6, n, 0.25f);
    check_gradients({in.x, in.gamma, in.beta}, [](const std::vector<Tensor>& v) {
      return layer_norm(v[0], v[1], v[2], 1e-5f);
    });
    for (const Dropout& d : {Dropout{}, in.dropout}) {
      check_gradients({in.x, in.residual, in.gamma, in.beta}, [&](const std::vector<Tensor>& v) {
        return dropout_add_layer_norm(v[0], v[1], v[2], v[3], 1e-5f, d);
      });
    }
  }
}

TEST(LayerNorm, GradientsOfSomeInputsOnly) {
  const Inputs in(6, 20, 0.25f);
  const Tensor dy = random_tensor({6, 20}, "dy");
  const auto gradient_of = [&](bool parameters, bool residual) {
    const Tensor gamma = parameters ? variable(in.gamma) : in.gamma;
    const Tensor r = residual ? variable(in.residual) : in.residual;
    const Tensor x = variable(in.x);
    backward(dropout_add_layer_norm(x, r, gamma, in.beta, kEps, in.dropout), dy);
    return dense_gradient(x);
  };
  const Tensor all = gradient_of(true, true);
  EXPECT_TRUE(same_bits(gradient_of(false, true), all));
  EXPECT_TRUE(same_bits(gradient_of(true, false), all));
  EXPECT_TRUE(same_bits(gradient_of(false, false), all));
}

std::vector<Tensor> parameter_gradients(const Inputs& in, int64_t begin, int64_t end,
                                        const LeafOffsets& leaves) {
  const LeafScope scope({leaves});
  const Tensor gamma = variable(in.gamma);
  const Tensor beta = variable(in.beta);
  backward(layer_norm(in.x.rows(begin, end), gamma, beta, kEps),
           random_tensor(in.x.shape(), "dy").rows(begin, end));
  return {dense_gradient(gamma), dense_gradient(beta)};
}

Tensor sum(const Tensor& a, const Tensor& b) {
  Tensor y = Tensor::empty_like(a);
  for (int64_t i = 0; i < y.numel(); ++i)
    y.data<float>()[i] = a.data<float>()[i] + b.data<float>()[i];
  return y;
}

TEST(LayerNorm, EightLeavesEqualTheTreeOfEightCalls) {
  const Inputs in(200, 24, 0);
  const LeafOffsets leaves = {0, 40, 41, 41, 90, 130, 199, 199, 200};
  const auto together = parameter_gradients(in, 0, 200, leaves);
  for (size_t which = 0; which < 2; ++which) {
    std::vector<Tensor> parts;
    for (size_t leaf = 0; leaf < 8; ++leaf) {
      const int64_t begin = leaves[leaf], end = leaves[leaf + 1];
      parts.push_back(begin == end ? Tensor::zeros({24})
                                   : parameter_gradients(in, begin, end, {0, end - begin})[which]);
    }
    const Tensor left = sum(sum(parts[0], parts[1]), sum(parts[2], parts[3]));
    const Tensor right = sum(sum(parts[4], parts[5]), sum(parts[6], parts[7]));
    EXPECT_TRUE(same_bits(together[which], sum(left, right)));
  }
}

TEST(LayerNorm, ThreadsDoNotChangeBits) {
  const Inputs in(301, 100, 0.1f);
  expect_same_bits_on_any_threads([&](const Device& device) {
    const Tensor x = variable(on(device, in.x)), residual = variable(on(device, in.residual));
    const Tensor gamma = variable(on(device, in.gamma)), beta = variable(on(device, in.beta));
    const LeafScope scope({{0, 77, 77, 200, 301}});
    const Tensor y = dropout_add_layer_norm(x, residual, gamma, beta, kEps, in.dropout);
    backward(y, random_tensor(y.shape(), "dy", -1, 1, device));
    return std::vector<Tensor>{y.detach(), dense_gradient(x), dense_gradient(residual),
                               dense_gradient(gamma), dense_gradient(beta)};
  });
}

TEST(LayerNorm, MistakesAreNamed) {
  const Inputs in(3, 8, 0);
  EXPECT_INVALID(layer_norm(Tensor::zeros({8}), in.gamma, in.beta, kEps),
                 "[layer_norm] x has shape [8]");
  EXPECT_INVALID(layer_norm(Tensor::zeros({3, 9}), in.gamma, in.beta, kEps),
                 "gamma and beta for x of shape [3, 9]. Expected [9] each");
  EXPECT_INVALID(dropout_add_layer_norm(in.x, Tensor::zeros({2, 8}), in.gamma, in.beta, kEps, {}),
                 "residual has shape [2, 8], x [3, 8]");
  EXPECT_INVALID(dropout_add_layer_norm(in.x, {}, in.gamma, in.beta, kEps, {}),
                 "there is no residual");
  const auto share =
      std::make_shared<const RowShare>(RowShare{.offsets = {0, 2, 5}, .all_gather = {}});
  EXPECT_INVALID(layer_norm(in.x, {in.gamma, in.beta, kEps, share}),
                 "[layer_norm] 3 rows of a share of 2");
}

}  // namespace
}  // namespace heddle
