#include "framework/ops/packed_weight.h"

#include <algorithm>

#include "framework/device/allocator.h"
#include "framework/ops/detail/gemm.h"

namespace heddle {
namespace {

// Columns of a panel. Measured on Zen 3 (oneDNN 2.6, f32, blocks of 72 rows): 192 is as fast as or
// faster than 96, 128 and 384 on all shapes of a small and a base encoder, and divides their sizes.
constexpr int64_t kPanelColumns = 192;
// Panels begin on cache lines.
constexpr int64_t kAlignment = 16;

float* floats(const std::shared_ptr<std::byte>& memory) {
  return reinterpret_cast<float*>(memory.get());
}

std::shared_ptr<std::byte> allocate_floats(int64_t n) {
  return allocate(n * static_cast<int64_t>(sizeof(float)));
}

// c [rows, columns] = a [rows, depth] · b. A block that is higher than the rows left goes through
// padded copies: nothing is read or written past the last row.
void multiply_rows(const kernels::Gemm& gemm, const float* a, int64_t rows, const float* packed,
                   float* c) {
  const auto& [depth, columns, stride, depth_major] = gemm.shape();
  for (int64_t row = 0; row < rows;) {
    const int64_t left = rows - row;
    const kernels::Gemm::Block block = gemm.block(left);
    const float* from = a + row * depth;
    float* to = c + row * stride;
    if (block.height <= left) {
      gemm.multiply(block, from, packed, to);
    } else {
      const std::shared_ptr<std::byte> padded_a = allocate_floats(block.height * depth);
      const std::shared_ptr<std::byte> padded_c = allocate_floats(block.height * stride);
      std::copy_n(from, left * depth, floats(padded_a));
      std::fill_n(floats(padded_a) + left * depth, (block.height - left) * depth, 0.0f);
      gemm.multiply(block, floats(padded_a), packed, floats(padded_c));
      for (int64_t r = 0; r < left; ++r) {
        std::copy_n(floats(padded_c) + r * stride, columns, to + r * stride);
      }
    }
    row += block.height;
  }
}

}  // namespace

PackedWeight PackedWeight::forward(const Tensor& weight) {
  return {weight, false};
}

PackedWeight PackedWeight::backward(const Tensor& weight) {
  return {weight, true};
}

PackedWeight::PackedWeight(const Tensor& weight, bool backward) {
  check(weight.ndim() == 2 && weight.dtype() == DType::kF32 && weight.numel() > 0,
        "[packed_weight] a weight of shape {} and type {}. Expected f32 [out, in].", weight.shape(),
        name_of(weight.dtype()));
  const int64_t out = weight.dim(0);
  const int64_t in = weight.dim(1);
  depth_ = backward ? out : in;
  columns_ = backward ? in : out;
  if (weight.device().is_meta()) return;
  int64_t size = 0;
  for (int64_t column = 0; column < columns_; column += kPanelColumns) {
    const int64_t width = std::min(kPanelColumns, columns_ - column);
    Panel panel{column, kernels::Gemm::get({depth_, width, columns_, backward}), size};
    size += (panel.gemm->packed_size() + kAlignment - 1) / kAlignment * kAlignment;
    panels_.push_back(std::move(panel));
  }
  memory_ = allocate_floats(size);
  const float* from = weight.data<float>();
  on_device(weight.device(), [&](const Cpu& on) {
    on.parallel_for(static_cast<int64_t>(panels_.size()), [&](int64_t i) {
      const Panel& panel = panels_[static_cast<size_t>(i)];
      const float* first = from + (backward ? panel.column : panel.column * in);
      panel.gemm->pack(first, floats(memory_) + panel.offset);
    });
  });
}

int64_t PackedWeight::bytes() const {
  return panels_.empty() ? 0
                         : (panels_.back().offset + panels_.back().gemm->packed_size()) *
                               static_cast<int64_t>(sizeof(float));
}

void PackedWeight::multiply(const Cpu& on, const float* x, int64_t rows, float* y,
                            const Epilogue& epilogue) const {
  if (rows == 0) return;
  check(!panels_.empty(), "[packed_weight] a product with a weight that was never packed.");
  const int64_t height = panels_.front().gemm->block_height();
  const int64_t blocks = (rows + height - 1) / height;
  // Blocks of one panel follow each other: it stays in cache.
  on.parallel_for(static_cast<int64_t>(panels_.size()) * blocks, [&](int64_t i) {
    const Panel& panel = panels_[static_cast<size_t>(i / blocks)];
    const int64_t row = i % blocks * height;
    const int64_t count = std::min(height, rows - row);
    float* to = y + row * columns_ + panel.column;
    multiply_rows(*panel.gemm, x + row * depth_, count, floats(memory_) + panel.offset, to);
    if (epilogue) epilogue({to, count, panel.gemm->shape().columns, columns_}, row, panel.column);
  });
}

}  // namespace heddle
