// What the labels of a sequence are, as Hugging Face's `problem_type`.
#pragma once

#include <cstdint>

namespace heddle {

enum class Problem : uint8_t {
  kSingleLabel,  // one of L classes: softmax, cross-entropy
  kMultiLabel,   // any of L labels: a sigmoid each, binary cross-entropy
  kRegression,   // L numbers: squared error
};

}  // namespace heddle
