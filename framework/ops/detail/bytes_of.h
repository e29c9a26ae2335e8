// What ops tell count_work() of the memory that they read and write.
#pragma once

#include "framework/core/tensor.h"

namespace heddle {

// Bytes of all tensors that are defined.
template <typename... Tensors>
double bytes_of(const Tensors&... tensors) {
  return (0.0 + ... + (tensors.defined() ? static_cast<double>(tensors.bytes()) : 0.0));
}

}  // namespace heddle
