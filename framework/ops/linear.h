// y = activation(x · weightᵀ + bias), one fused op.
//
//   Tensor h = linear(x, weight, bias, Activation::kGelu);   // [T, in] -> [T, out]
//
// The bits of a row of y depend on that row of x and the parameters alone: not on the rows beside
// it, on threads, or on whether the weight was packed before. So evaluation and serving, in
// whatever batches, equal training.
#pragma once

#include "framework/autograd/record.h"
#include "framework/ops/packed_weight.h"

namespace heddle {

// x [T, in], f32 or bf16 -> [T, out] of the same type; weight [out, in] and bias [out] (or
// undefined) are f32. In bf16 the weight is rounded to it and the product, summed in f32, is
// rounded once, after bias and activation. Gradients for each input; those of weight and bias are
// f32, sums over the leaves of T rows (framework/autograd/leaves.h), and are made in the
// parameters' slots.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
              Activation activation = Activation::kNone);

// The same with PackedWeight::forward(weight); has no gradient. x is f32 if the weight was packed
// as such, else bf16.
Tensor linear(const Tensor& x, const PackedWeight& weight, const Tensor& bias,
              Activation activation = Activation::kNone);

namespace kernels {

// `derivatives`, if defined, gets those of kGelu.
void linear(Cpu, const Tensor& x, const PackedWeight& weight, const Tensor& bias,
            Activation activation, Tensor& y, Tensor& derivatives);
// `saved` is the activation's derivatives (kGelu) or its result (kTanh, kRelu).
void linear_activation_backward(Cpu, Activation activation, const Tensor& dy, const Tensor& saved,
                                Tensor& dx);
void linear_input_gradient(Cpu, const Tensor& dy, const PackedWeight& weight, Tensor& dx);
// dw and db may be undefined; `leaves` are offsets of the rows.
void linear_weight_gradient(Cpu, const Tensor& dy, const Tensor& x, std::span<const int64_t> leaves,
                            const Tensor& dw, const Tensor& db);

}  // namespace kernels
}  // namespace heddle
