// Layer normalisation (Ba et al. 2016) over the last axis, alone and fused with what comes before
// it in a transformer.
//
//   y = layer_norm(x, gamma, beta, 1e-12f);
//   y = dropout_add_layer_norm(x, residual, gamma, beta, 1e-12f, dropout);
#pragma once

#include "framework/autograd/leaves.h"
#include "framework/ops/dropout.h"

namespace heddle {

struct LayerNormParameters {
  Tensor gamma, beta;  // [H]; what is trained
  float eps;           // added to the variance
  // Where ranks share the rows: x is this rank's, and the gradients of gamma and beta are sums over
  // all ranks' rows. backward() is collective then.
  std::shared_ptr<const RowShare> share{};
};

// x [rows, H], f32 or bf16 -> [rows, H] of the same type:
// (x - mean) / sqrt(variance + eps) * gamma + beta. The gradients of gamma and beta are f32, sums
// over rows by leaves (leaves.h).
Tensor layer_norm(const Tensor& x, const LayerNormParameters& norm);
inline Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps) {
  return layer_norm(x, {gamma, beta, eps});
}

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
  Tensor dx;         // [rows, H], after dropout's mask; undefined if not wanted
  Tensor dresidual;  // [rows, H]: of z; undefined if not wanted
  Tensor sums;       // [runs, 2H], zero before: dgamma and dbeta of each run; undefined likewise
};
// `runs` cut the rows of dy: the first one's `begin` is row 0. Not read without sums.
void layer_norm_backward(Cpu, const Tensor& dy, const LayerNormSaved& saved,
                         const LayerNormParameters& norm, const Dropout& dropout,
                         std::span<const RowRun> runs, const LayerNormGradients& gradients);
// The runs of a leaf one after another, leaves by the tree. dgamma, dbeta [H].
void layer_norm_merge(Cpu, const LeafOffsets& leaves, const Tensor& sums, const Tensor& dgamma,
                      const Tensor& dbeta);

}  // namespace kernels
}  // namespace heddle
