// Losses as un-normalised sums over rows. The gradient is made in the same pass; the factor
// 1 / (samples of the global batch) comes with backward's dy.
//
//   Loss loss = cross_entropy_sum(logits, labels);
//   backward(loss.sum, Tensor of shape [1] holding 1 / samples);
#pragma once

#include "framework/autograd/record.h"

namespace heddle {

struct Loss {
  Tensor sum;        // f32 [1]: `value`, rounded; what backward() starts from
  double value = 0;  // leaves' sums (leaves.h), each in row order, merged by the tree
};

// logits [S, L], labels i32 [S] in [0, L): sum of -log softmax(logits)[label]. With label smoothing
// e the target is (1 - e) for the label plus e / L for every class (Szegedy et al. 2016).
Loss cross_entropy_sum(const Tensor& logits, const Tensor& labels, float label_smoothing = 0);

// logits [S, L], targets f32 [S, L]: sum of the binary cross-entropies of sigmoid(logits).
Loss binary_cross_entropy_with_logits_sum(const Tensor& logits, const Tensor& targets);

// predictions [S, L], targets f32 [S, L]: sum of squared differences.
Loss squared_error_sum(const Tensor& predictions, const Tensor& targets);

namespace kernels {
// Each returns the value and fills `gradient` [S, L], if defined.
double cross_entropy(Cpu, const Tensor& logits, const Tensor& labels, float label_smoothing,
                     const Tensor& gradient);
double binary_cross_entropy(Cpu, const Tensor& logits, const Tensor& targets,
                            const Tensor& gradient);
double squared_error(Cpu, const Tensor& predictions, const Tensor& targets, const Tensor& gradient);

void set_scalar(Cpu, const Tensor& scalar, double value);
// y = factor[0] * x.
void scale(Cpu, const Tensor& x, const Tensor& factor, Tensor& y);
}  // namespace kernels

}  // namespace heddle
