// Layer normalisation (Ba et al. 2016) over the last axis, alone and fused with what comes before
// it in a transformer.
//
//   y = layer_norm(x, gamma, beta, 1e-12f);
//   y = dropout_add_layer_norm(x, residual, gamma, beta, 1e-12f, dropout);
#pragma once

#include "framework/ops/dropout.h"

namespace heddle {

// The trained parts; both [H].
struct LayerNormParameters {
  Tensor gamma, beta;
  float eps;  // added to the variance
};

// x [rows, H] -> [rows, H]: (x - mean) / sqrt(variance + eps) * gamma + beta. The gradients of
// gamma and beta are sums over rows by leaves (leaves.h).
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps);

// layer_norm(dropout(x) + residual), in one pass; x and residual [rows, H].
Tensor dropout_add_layer_norm(const Tensor& x, const Tensor& residual,
                              const LayerNormParameters& norm, const Dropout& dropout);
inline Tensor dropout_add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& gamma,
                                     const Tensor& beta, float eps, const Dropout& dropout) {
  return dropout_add_layer_norm(x, residual, {gamma, beta, eps}, dropout);
}

namespace kernels {

struct LayerNormSaved {
  Tensor z;           // [rows, H]: what was normalised
  Tensor statistics;  // [rows, 2]: mean and 1 / deviation
};

// `residual` may be undefined, and so may saved.z (where it is x, or nobody will ask for it) and
// saved.statistics.
void layer_norm(Cpu, const Tensor& x, const Tensor& residual, const LayerNormParameters& norm,
                const Dropout& dropout, const LayerNormSaved& saved, Tensor& y);

struct LayerNormGradients {
  Tensor dx;             // [rows, H], after dropout's mask; undefined if not wanted
  Tensor dresidual;      // [rows, H]: of z; undefined if not wanted
  Tensor dgamma, dbeta;  // [H]; both or neither
};
void layer_norm_backward(Cpu, const Tensor& dy, const LayerNormSaved& saved,
                         const LayerNormParameters& norm, const Dropout& dropout,
                         const LayerNormGradients& gradients);

}  // namespace kernels
}  // namespace heddle
