// A Linear's weight in the layout that matrix products read fastest, cut into panels that stay in
// cache. What is served packs each weight once:
//
//   PackedWeight packed = PackedWeight::forward(weight);   // [out, in]
//   Tensor y = linear(x, packed, bias, Activation::kGelu); // framework/ops/linear.h
//
// In training a weight is new in each step: linear() packs it on the way, and where there are so
// few rows that products in f32 read it once, each panel when its turn comes. Packing rounds the
// weight to what the products are computed with (framework/core/precision.h).
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "framework/core/precision.h"
#include "framework/core/tensor.h"
#include "framework/ops/detail/activation.h"

namespace heddle {

namespace kernels {
class Gemm;
}

class PackedWeight {
 public:
  // Called with each finished block of the product, f32, by several threads at once. `row` and
  // `column` are the place of its first element.
  using Epilogue = std::function<void(const kernels::RowBlock& block, int64_t row, int64_t column)>;

  static constexpr int64_t kManyRows = std::numeric_limits<int64_t>::max();

  PackedWeight() = default;
  // For x · Wᵀ and for dy · W; `weight` is f32 [out, in]. The copy is independent of it, but if the
  // products to come have no more than so many `rows` in all, it may be used where it lies and must
  // not change meanwhile.
  static PackedWeight forward(const Tensor& weight, int64_t rows = kManyRows,
                              Precision precision = Precision::kF32);
  static PackedWeight backward(const Tensor& weight, int64_t rows = kManyRows,
                               Precision precision = Precision::kF32);

  bool defined() const { return columns_ > 0; }
  int64_t depth() const { return depth_; }      // the length of a row that goes in
  int64_t columns() const { return columns_; }  // and of one that comes out
  int64_t bytes() const { return bytes_; }      // of memory of its own
  Precision precision() const { return precision_; }

  // y [rows, columns] = x [rows, depth] · the weight. The bits of a row of y depend on that row of
  // x and the weight alone. `rows` is at most what it was packed for.
  void multiply(const Cpu& on, const float* x, int64_t rows, float* y,
                const Epilogue& epilogue = nullptr) const;
  // to = activation(x · the weight + bias), rounded once, with a weight of less precision. `bias`
  // is [columns] or null. For int8 the rows of x are quantized, each by its greatest magnitude.
  void multiply(const Cpu& on, const BFloat16* x, int64_t rows, const float* bias,
                Activation activation, const kernels::BFloat16Block& to) const;

 private:
  // Who makes the products: our own kernel for f32, our own on AMX's tiles, or the library.
  enum class Maker : uint8_t { kF32, kTiles, kLibrary };

  struct Panel {
    int64_t column = 0;  // its first
    int64_t columns = 0;
    const void* data = nullptr;
    int64_t step = 0;                           // of f32: from a row of the panel to the next
    std::shared_ptr<const kernels::Gemm> gemm;  // the library's
  };

  PackedWeight(const Tensor& weight, bool backward, int64_t rows, Precision precision);
  int64_t task_height(const Cpu& on, int64_t rows) const;
  int64_t panels_together(const Cpu& on) const;
  int64_t panel_bytes(const Panel& panel) const;
  bool reads_in_place(const Panel& panel, int64_t rows) const;
  void pack(const Tensor& weight);
  void pack_panel(const Panel& panel, std::byte* packed);
  // A panel of f32, whose plain rows are `stride` apart.
  void pack_floats(const Panel& panel, const void* from, int64_t stride, std::byte* packed) const;
  void round_panel(const Panel& panel, const float* weight, std::byte* to);
  // Rows of this precision as the products' operands.
  std::shared_ptr<std::byte> operands_of(const void* rows, int64_t n) const;
  // Calls make(panel, row, count) for all blocks of `rows` rows; the panel may be several.
  template <typename Make>
  void for_blocks(const Cpu& on, int64_t rows, Make&& make) const;
  void multiply_rows(const Panel& panel, const void* x, int64_t rows, void* y,
                     int64_t stride) const;

  Precision precision_ = Precision::kF32;
  Precision operands_ = Precision::kF32;  // of the products; f32 where the processor has no others
  Maker maker_ = Maker::kF32;
  bool backward_ = false;
  int64_t depth_ = 0;
  int64_t columns_ = 0;
  std::vector<Panel> panels_;
  int64_t most_rows_ = kManyRows;
  bool plain_ = false;  // the panels lie in plain_weight_, not packed
  Tensor plain_weight_;
  std::shared_ptr<std::byte> memory_;
  int64_t bytes_ = 0;          // of memory_
  std::vector<float> scales_;  // of int8: by column
};

}  // namespace heddle
