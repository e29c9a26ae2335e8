// Element-wise activations, and softmax.
#pragma once

#include <cstdint>

#include "framework/autograd/record.h"

namespace heddle {

// x of any shape -> the same shape.
Tensor gelu(const Tensor& x);  // x Φ(x), with erf (Hendrycks and Gimpel 2016)
Tensor tanh(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor softmax(const Tensor& x);  // over the last axis

// 1 / (1 + exp(-x)) without overflow.
float sigmoid(float x);

namespace kernels {
enum class Elementwise : uint8_t { kGelu, kTanh, kRelu };
void activation(Cpu, Elementwise kind, const Tensor& x, Tensor& y);
// `saved` is x for gelu, y for tanh and relu.
void activation_backward(Cpu, Elementwise kind, const Tensor& saved, const Tensor& dy, Tensor& dx);
void softmax(Cpu, const Tensor& x, Tensor& y);
void softmax_backward(Cpu, const Tensor& y, const Tensor& dy, Tensor& dx);
}  // namespace kernels

}  // namespace heddle
