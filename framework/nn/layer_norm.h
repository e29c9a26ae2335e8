// Layer normalisation (Ba et al. 2016) with a gain and a shift for each feature.
#pragma once

#include "framework/nn/module.h"
#include "framework/ops/layer_norm.h"

namespace heddle {

struct LayerNorm : Module {
  LayerNorm(int64_t width, float eps)
      : weight({width}, {Initializer::Kind::kOnes}), bias({width}), eps(eps) {}

  // x [T, width] -> [T, width].
  Tensor operator()(const Tensor& x) const {
    const ProfiledModule span(path);
    return layer_norm(x, weight.value, bias.value, eps);
  }
  // Normalises dropout(x) + residual.
  Tensor operator()(const Tensor& x, const Tensor& residual, const Dropout& dropout) const {
    const ProfiledModule span(path);
    return dropout_add_layer_norm(x, residual, weight.value, bias.value, eps, dropout);
  }
  void visit(Visitor& v) override {
    v("weight", weight);
    v("bias", bias);
  }

  Parameter weight, bias;
  float eps;
};

}  // namespace heddle
