// What the products of a model's layers are computed with. Sums are f32 (exact integers for int8),
// and so are norms, softmax, losses and everything that is trained.
#pragma once

#include <cstdint>
#include <string_view>

#include "framework/core/dtype.h"

namespace heddle {

enum class Precision : uint8_t {
  kF32,
  kBF16,  // weights and activations rounded to bf16
  kInt8,  // weights to 8 bits by output, activations to 8 bits by token; serving only
};

constexpr std::string_view name_of(Precision precision) {
  switch (precision) {
    case Precision::kF32:
      return "f32";
    case Precision::kBF16:
      return "bf16";
    case Precision::kInt8:
      return "int8";
  }
  return "?";
}

inline Precision precision_from_name(std::string_view name) {
  for (const Precision precision : {Precision::kF32, Precision::kBF16, Precision::kInt8}) {
    if (name_of(precision) == name) return precision;
  }
  throw std::invalid_argument(
      fmt::format("unknown precision '{}'. Expected f32, bf16 or int8.", name));
}

// Of what flows from layer to layer.
constexpr DType activation_type(Precision precision) {
  return precision == Precision::kF32 ? DType::kF32 : DType::kBF16;
}

// Bytes of an operand of a product.
constexpr int64_t operand_bytes(Precision precision) {
  switch (precision) {
    case Precision::kF32:
      return 4;
    case Precision::kBF16:
      return 2;
    case Precision::kInt8:
      return 1;
  }
  return 0;
}

}  // namespace heddle
