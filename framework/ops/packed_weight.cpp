#include "framework/ops/packed_weight.h"

#include <algorithm>

#include "framework/device/allocator.h"
#include "framework/ops/detail/gemm.h"

namespace heddle {
namespace {

using Layout = kernels::Gemm::Layout;

// Columns of a panel. Measured on Zen 3 (oneDNN 2.6, f32, blocks of 72 rows): 192 is as fast as or
// faster than 96, 128 and 384 on all shapes of a small and a base encoder, and divides their sizes.
constexpr int64_t kPanelColumns = 192;
// Up to so many rows the products read the plain weight. On Zen 3 packing and a packed product cost
// as much at 432 rows; on Sapphire Rapids, where plain is 8 % slower at 128 rows, at about 150.
constexpr int64_t kFewRows = 216;
// The same for dy · W where the rows of W are whole kAliasing apart: they meet in few sets of the
// L1 cache, and a plain product is 30 % slower.
constexpr int64_t kFewRowsAliasing = 64;
constexpr int64_t kAliasing = 512;
// Panels begin on cache lines.
constexpr int64_t kAlignment = 16;

int64_t most_plain_rows(bool backward, int64_t in) {
  return backward && in % kAliasing == 0 ? kFewRowsAliasing : kFewRows;
}

float* floats(const std::shared_ptr<std::byte>& memory) {
  return reinterpret_cast<float*>(memory.get());
}

std::shared_ptr<std::byte> allocate_floats(int64_t n) {
  return allocate(n * static_cast<int64_t>(sizeof(float)));
}

}  // namespace

PackedWeight PackedWeight::forward(const Tensor& weight, int64_t rows) {
  return {weight, false, rows};
}

PackedWeight PackedWeight::backward(const Tensor& weight, int64_t rows) {
  return {weight, true, rows};
}

PackedWeight::PackedWeight(const Tensor& weight, bool backward, int64_t rows) : most_rows_(rows) {
  check(weight.ndim() == 2 && weight.dtype() == DType::kF32 && weight.numel() > 0,
        "[packed_weight] a weight of shape {} and type {}. Expected f32 [out, in].", weight.shape(),
        name_of(weight.dtype()));
  const int64_t out = weight.dim(0);
  const int64_t in = weight.dim(1);
  depth_ = backward ? out : in;
  columns_ = backward ? in : out;
  if (weight.device().is_meta()) {
    // The libraries' layouts take hardly more than the weight itself.
    const bool plain = rows <= most_plain_rows(backward, in);
    if (!plain) memory_ = allocate_planned(weight.bytes());
    return;
  }
  for (int64_t column = 0; column < columns_; column += kPanelColumns) {
    const int64_t width = std::min(kPanelColumns, columns_ - column);
    panels_.push_back({column, kernels::Gemm::get({depth_, width, columns_, backward}),
                       weight.data<float>() + (backward ? column : column * in)});
  }
  plain_ = rows <= most_plain_rows(backward, in) && plain_products_keep_bits(rows);
  if (plain_) {
    plain_weight_ = weight.detach();
    return;
  }
  std::vector<int64_t> offsets = {0};
  for (const Panel& panel : panels_) {
    offsets.push_back(offsets.back() +
                      (panel.gemm->packed_size() + kAlignment - 1) / kAlignment * kAlignment);
  }
  bytes_ = offsets.back() * static_cast<int64_t>(sizeof(float));
  memory_ = allocate_floats(offsets.back());
  on_device(weight.device(), [&](const Cpu& on) {
    on.parallel_for(static_cast<int64_t>(panels_.size()), [&](int64_t i) {
      Panel& panel = panels_[static_cast<size_t>(i)];
      float* packed = floats(memory_) + offsets[static_cast<size_t>(i)];
      panel.gemm->pack(panel.data, packed);
      panel.data = packed;
    });
  });
}

bool PackedWeight::plain_products_keep_bits(int64_t rows) const {
  const int64_t height = panels_.front().gemm->block_height();
  for (const Panel& panel : panels_) {
    for (int64_t left : {std::min(rows, height), rows % height}) {
      while (left > 0) {
        const kernels::Gemm::Block block = panel.gemm->block(left, Layout::kPlain);
        if (!block.product) return false;
        left -= block.height;
      }
    }
  }
  return true;
}

void PackedWeight::multiply(const Cpu& on, const float* x, int64_t rows, float* y,
                            const Epilogue& epilogue) const {
  if (rows == 0) return;
  check(!panels_.empty(), "[packed_weight] a product with a weight that was never packed.");
  check(rows <= most_rows_,
        "[packed_weight] {} rows. Expected at most {}, for which it was packed.", rows, most_rows_);
  const int64_t height = panels_.front().gemm->block_height();
  const int64_t blocks = (rows + height - 1) / height;
  // Blocks of one panel follow each other: it stays in cache.
  on.parallel_for(static_cast<int64_t>(panels_.size()) * blocks, [&](int64_t i) {
    const Panel& panel = panels_[static_cast<size_t>(i / blocks)];
    const int64_t row = i % blocks * height;
    const int64_t count = std::min(height, rows - row);
    float* to = y + row * columns_ + panel.column;
    multiply_rows(panel, x + row * depth_, count, to);
    if (epilogue) epilogue({to, count, panel.gemm->shape().columns, columns_}, row, panel.column);
  });
}

// A block that is higher than the rows left goes through padded copies: nothing is read or written
// past the last row.
void PackedWeight::multiply_rows(const Panel& panel, const float* x, int64_t rows, float* y) const {
  const kernels::Gemm& gemm = *panel.gemm;
  const int64_t columns = gemm.shape().columns;
  for (int64_t left = rows; left > 0;) {
    const kernels::Gemm::Block block = gemm.block(left, plain_ ? Layout::kPlain : Layout::kPacked);
    if (block.height <= left) {
      gemm.multiply(block, x, panel.data, y);
    } else {
      const std::shared_ptr<std::byte> padded_x = allocate_floats(block.height * depth_);
      const std::shared_ptr<std::byte> padded_y = allocate_floats(block.height * columns_);
      std::copy_n(x, left * depth_, floats(padded_x));
      std::fill_n(floats(padded_x) + left * depth_, (block.height - left) * depth_, 0.0f);
      gemm.multiply(block, floats(padded_x), panel.data, floats(padded_y));
      for (int64_t r = 0; r < left; ++r) {
        std::copy_n(floats(padded_y) + r * columns_, columns, y + r * columns_);
      }
    }
    x += block.height * depth_;
    y += block.height * columns_;
    left -= block.height;
  }
}

}  // namespace heddle
