// A linear layer, y = activation(x · weightᵀ + bias), with weight [out, in] as in PyTorch.
#pragma once

#include "framework/nn/module.h"
#include "framework/ops/linear.h"

namespace heddle {

struct LinearOptions {
  bool bias = true;
  float deviation = 0.02f;  // of the initial weights
  Activation activation = Activation::kNone;
};

struct Linear : Module {
  Linear(int64_t in, int64_t out, const LinearOptions& options = {});
  // A part of a layer of these widths: `shard` of the weight along dim 0 (and of the bias alike), or
  // along dim 1.
  Linear(int64_t in, int64_t out, const LinearOptions& options, const Shard& shard);

  // x [T, in] -> [T, out].
  Tensor operator()(const Tensor& x) const;
  void visit(Visitor& v) override;

  Parameter weight, bias;
  Activation activation;
};

}  // namespace heddle
