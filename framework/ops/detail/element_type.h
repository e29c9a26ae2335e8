// From a tensor's element type to C++'s: f32 or bf16.
#pragma once

#include "framework/core/tensor.h"

namespace heddle {

// Calls f(T()) with the element type T.
template <typename F>
void with_type(DType dtype, F&& f) {
  dtype == DType::kBF16 ? f(BFloat16()) : f(float());
}

template <typename T>
T* data_or_null(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}

}  // namespace heddle
