// A folder of golden data against this program: a Hugging Face folder with golden.json and
// golden.safetensors, made by tests/golden/make/models.py.
#pragma once

#include <string>

#include "framework/core/precision.h"

namespace heddle {

struct GoldenResult {
  std::string worst;   // what came closest to its tolerance, or went furthest beyond it
  double error = 0;    // its largest error
  double share = 0;    // of the tolerance; above 1 fails
  int64_t values = 0;  // tensors and numbers compared
};

// Hidden states, logits, loss, gradients and five steps of AdamW of a sequence classifier; in less
// precision than f32 its logits alone, within a tolerance of their own.
GoldenResult check_model(const std::string& folder, Precision precision);

// The published MiniLM: `folder` holds golden.json and golden.safetensors, `weights` the model.
GoldenResult check_minilm(const std::string& folder, const std::string& weights,
                          Precision precision);

}  // namespace heddle
