// A Linear's weight in the layout that matrix products read fastest, cut into panels that stay in
// cache. What is served packs each weight once:
//
//   PackedWeight packed = PackedWeight::forward(weight);   // [out, in]
//   Tensor y = linear(x, packed, bias, Activation::kGelu); // framework/ops/linear.h
//
// In training a weight is new in each step, so linear() packs it on the way (3 % of the product).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "framework/core/tensor.h"
#include "framework/ops/detail/activation.h"

namespace heddle {

namespace kernels {
class Gemm;
}

class PackedWeight {
 public:
  // Called with each finished block of the product's output, by several threads at once.
  // `row` and `column` are the place of its first element.
  using Epilogue = std::function<void(const kernels::RowBlock& block, int64_t row, int64_t column)>;

  PackedWeight() = default;
  // For x · Wᵀ and for dy · W; `weight` is f32 [out, in] and is not needed afterwards.
  static PackedWeight forward(const Tensor& weight);
  static PackedWeight backward(const Tensor& weight);

  bool defined() const { return columns_ > 0; }
  int64_t depth() const { return depth_; }      // the length of a row that goes in
  int64_t columns() const { return columns_; }  // and of one that comes out
  int64_t bytes() const;

  // y [rows, columns] = x [rows, depth] · the weight. The bits of a row of y depend on that row of
  // x and the weight alone.
  void multiply(const Cpu& on, const float* x, int64_t rows, float* y,
                const Epilogue& epilogue = nullptr) const;

 private:
  struct Panel {
    int64_t column = 0;  // its first
    std::shared_ptr<const kernels::Gemm> gemm;
    int64_t offset = 0;  // of its part of memory_, in floats
  };

  PackedWeight(const Tensor& weight, bool backward);

  int64_t depth_ = 0;
  int64_t columns_ = 0;
  std::vector<Panel> panels_;
  std::shared_ptr<std::byte> memory_;
};

}  // namespace heddle
