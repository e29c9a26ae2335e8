#include "framework/ops/packed_weight.h"

#include <algorithm>
#include <cstring>

#include "framework/device/allocator.h"
#include "framework/device/profile.h"
#include "framework/ops/detail/amx_linear.h"
#include "framework/ops/detail/convert.h"
#include "framework/ops/detail/gemm.h"
#include "framework/ops/detail/parallel_rows.h"

namespace heddle {
namespace {

using Layout = kernels::Gemm::Layout;

// Columns of a panel. Measured on Zen 3 (oneDNN 2.6, f32, blocks of 72 rows): 192 is as fast as or
// faster than 96, 128 and 384 on all shapes of a small and a base encoder, and divides their sizes.
constexpr int64_t kPanelColumns = 192;
// Up to so many rows the products read the plain weight. On Zen 3 packing and a packed product cost
// as much at 432 rows; on Sapphire Rapids, where plain is 8 % slower at 128 rows, at about 150.
constexpr int64_t kFewRows = 216;
// The same for dy · W, which reads W row by row as it lies: on Sapphire Rapids a plain product of
// 432 rows with a warm weight takes no longer than a packed one, so that packing is lost.
constexpr int64_t kFewRowsBackward = 512;
// But not where the rows of W are whole kAliasing apart: they meet in few sets of the L1 cache, and
// a plain product is 30 % slower.
constexpr int64_t kFewRowsAliasing = 64;
constexpr int64_t kAliasing = 512;
// A rest of rows has fewer.
constexpr int64_t kMostRest = 72;
// Panels begin on cache lines.
constexpr int64_t kAlignment = 64;
constexpr int64_t kResultBytes = 4;  // of a product's element: f32 or i32
// On tiles, rows of a task where threads share the work.
constexpr int64_t kTileRows = 128;

int64_t most_plain_rows(bool backward, int64_t in) {
  if (!backward) return kFewRows;
  return in % kAliasing == 0 ? kFewRowsAliasing : kFewRowsBackward;
}

const std::byte* bytes_at(const void* memory, int64_t offset) {
  return static_cast<const std::byte*>(memory) + offset;
}

std::byte* bytes_at(void* memory, int64_t offset) {
  return static_cast<std::byte*>(memory) + offset;
}

}  // namespace

PackedWeight PackedWeight::forward(const Tensor& weight, int64_t rows, Precision precision) {
  return {weight, false, rows, precision};
}

PackedWeight PackedWeight::backward(const Tensor& weight, int64_t rows, Precision precision) {
  return {weight, true, rows, precision};
}

PackedWeight::PackedWeight(const Tensor& weight, bool backward, int64_t rows, Precision precision)
    : precision_(precision), most_rows_(rows) {
  check(weight.ndim() == 2 && weight.dtype() == DType::kF32 && weight.numel() > 0,
        "[packed_weight] a weight of shape {} and type {}. Expected f32 [out, in].", weight.shape(),
        name_of(weight.dtype()));
  check(!backward || precision != Precision::kInt8,
        "[packed_weight] a gradient by int8. Expected f32 or bf16.");
  const int64_t out = weight.dim(0);
  const int64_t in = weight.dim(1);
  depth_ = backward ? out : in;
  columns_ = backward ? in : out;
  tiles_ = kernels::amx_linear_fits(precision, depth_, columns_);
  if (tiles_ || kernels::Gemm::has(precision)) operands_ = precision;
  const bool few = precision == Precision::kF32 && rows <= most_plain_rows(backward, in);
  if (weight.device().is_meta()) {
    // The libraries' layouts take hardly more than the weight itself; the copies of a rest of rows,
    // see multiply_rows; and the rows widened, see operands_of.
    const int64_t rest = std::min(rows, kMostRest) * (depth_ + std::min(columns_, kPanelColumns));
    const int64_t scratch =
        tiles_ ? kernels::amx_linear_scratch(precision, rows, depth_)
               : rest * operand_bytes(Precision::kF32) +
                     (operands_ == precision ? 0 : rows * depth_) * operand_bytes(operands_);
    memory_ = allocate_planned((few ? 0 : weight.numel()) * operand_bytes(operands_) + scratch);
    return;
  }
  for (int64_t column = 0; column < columns_; column += kPanelColumns) {
    const int64_t width = std::min(kPanelColumns, columns_ - column);
    Panel& panel = panels_.emplace_back();
    panel = {column, width, nullptr, weight.data<float>() + (backward ? column : column * in)};
    if (tiles_) continue;
    // In less precision a panel is rounded, and its product made, in memory of its own.
    const int64_t stride = precision == Precision::kF32 ? columns_ : width;
    panel.gemm = kernels::Gemm::get({depth_, width, stride, backward, operands_});
  }
  plain_ = few && plain_products_keep_bits(rows);
  if (plain_) {
    plain_weight_ = weight.detach();
    return;
  }
  pack(weight, backward);
}

void PackedWeight::pack(const Tensor& weight, bool backward) {
  const ProfiledSpan span("pack weight", name_of(precision_));
  std::vector<int64_t> offsets = {0};
  for (const Panel& panel : panels_) {
    const int64_t bytes =
        tiles_ ? depth_ * panel.columns * operand_bytes(precision_) : panel.gemm->packed_bytes();
    offsets.push_back(offsets.back() + (bytes + kAlignment - 1) / kAlignment * kAlignment);
  }
  bytes_ = offsets.back();
  memory_ = allocate(bytes_);
  if (precision_ == Precision::kInt8) scales_.resize(static_cast<size_t>(columns_));
  on_device(weight.device(), [&](const Cpu& on) {
    on.parallel_for(static_cast<int64_t>(panels_.size()), [&](int64_t i) {
      Panel& panel = panels_[static_cast<size_t>(i)];
      std::byte* packed = memory_.get() + offsets[static_cast<size_t>(i)];
      pack_panel(panel, backward, packed);
      panel.data = packed;
    });
  });
  count_work({.moved_bytes = static_cast<double>(weight.bytes() + bytes_)});
}

void PackedWeight::pack_panel(const Panel& panel, bool backward, std::byte* packed) {
  const auto* weight = static_cast<const float*>(panel.data);
  if (tiles_ && backward) {
    kernels::amx_pack_backward(weight, columns_, depth_, panel.columns,
                               reinterpret_cast<BFloat16*>(packed));
  } else if (tiles_ && precision_ == Precision::kBF16) {
    kernels::amx_pack_forward(weight, depth_, panel.columns, reinterpret_cast<BFloat16*>(packed));
  } else if (precision_ == Precision::kF32) {
    panel.gemm->pack(weight, packed);
  } else {
    const int64_t numbers = depth_ * panel.columns;
    const std::shared_ptr<std::byte> rounded = allocate(numbers * operand_bytes(precision_));
    round_panel(panel, weight, backward, rounded.get());
    if (tiles_) {
      kernels::amx_pack_forward(reinterpret_cast<const int8_t*>(rounded.get()), depth_,
                                panel.columns, reinterpret_cast<int8_t*>(packed));
    } else {
      panel.gemm->pack(operands_of(rounded.get(), numbers).get(), packed);
    }
  }
}

std::shared_ptr<std::byte> PackedWeight::operands_of(const void* rows, int64_t n) const {
  if (operands_ == precision_) {
    return {std::shared_ptr<void>(), static_cast<std::byte*>(const_cast<void*>(rows))};
  }
  const std::shared_ptr<std::byte> wide = allocate(n * operand_bytes(Precision::kF32));
  auto* to = reinterpret_cast<float*>(wide.get());
  if (precision_ == Precision::kInt8) {
    kernels::convert(static_cast<const int8_t*>(rows), to, n);
  } else {
    kernels::convert(static_cast<const BFloat16*>(rows), to, n);
  }
  return wide;
}

// `weight` is at the panel's first element; its rows go to `to` one after another.
void PackedWeight::round_panel(const Panel& panel, const float* weight, bool backward,
                               std::byte* to) {
  const int64_t columns = panel.columns;
  if (precision_ == Precision::kInt8) {
    auto* numbers = reinterpret_cast<int8_t*>(to);
    for (int64_t c = 0; c < columns; ++c) {
      scales_[static_cast<size_t>(panel.column + c)] =
          kernels::quantize(weight + c * depth_, numbers + c * depth_, depth_);
    }
    return;
  }
  auto* numbers = reinterpret_cast<BFloat16*>(to);
  if (!backward) {
    kernels::convert(weight, numbers, columns * depth_);
    return;
  }
  for (int64_t k = 0; k < depth_; ++k) {
    kernels::convert(weight + k * columns_, numbers + k * columns, columns);
  }
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

// Rows of a task: many, unless threads would then have too few tasks to share.
int64_t PackedWeight::task_height(const Cpu& on, int64_t rows) const {
  if (tiles_) return on.threads() == 1 ? rows : kTileRows;
  const kernels::Gemm& gemm = *panels_.front().gemm;
  const int64_t tasks = rows / gemm.tall_height() * static_cast<int64_t>(panels_.size());
  const bool enough = on.threads() == 1 || tasks >= int64_t{4} * on.threads();
  return enough ? gemm.tall_height() : gemm.block_height();
}

template <typename Make>
void PackedWeight::for_blocks(const Cpu& on, int64_t rows, Make&& make) const {
  if (rows == 0) return;
  check(!panels_.empty(), "[packed_weight] a product with a weight that was never packed.");
  check(rows <= most_rows_,
        "[packed_weight] {} rows. Expected at most {}, for which it was packed.", rows, most_rows_);
  const int64_t height = task_height(on, rows);
  const int64_t blocks = (rows + height - 1) / height;
  // Blocks of one panel follow each other: it stays in cache.
  on.parallel_for(static_cast<int64_t>(panels_.size()) * blocks, [&](int64_t i) {
    const int64_t row = i % blocks * height;
    make(panels_[static_cast<size_t>(i / blocks)], row, std::min(height, rows - row));
  });
}

void PackedWeight::multiply(const Cpu& on, const float* x, int64_t rows, float* y,
                            const Epilogue& epilogue) const {
  check(precision_ == Precision::kF32, "[packed_weight] f32 rows and a weight packed as {}.",
        name_of(precision_));
  for_blocks(on, rows, [&](const Panel& panel, int64_t row, int64_t count) {
    float* to = y + row * columns_ + panel.column;
    multiply_rows(panel, x + row * depth_, count, to);
    if (epilogue) epilogue({to, count, panel.columns, columns_}, row, panel.column);
  });
}

void PackedWeight::multiply(const Cpu& on, const BFloat16* x, int64_t rows, const float* bias,
                            Activation activation, const kernels::BFloat16Block& to) const {
  check(precision_ != Precision::kF32, "[packed_weight] bf16 rows and a weight packed as f32.");
  check(!to.derivatives || (activation == Activation::kGelu && precision_ == Precision::kBF16),
        "[packed_weight] derivatives are kept for gelu in bf16 only.");
  const auto block_at = [&](int64_t row, int64_t column) {
    const int64_t at = row * to.stride + column;
    return kernels::BFloat16Block{to.data + at, to.derivatives ? to.derivatives + at : nullptr,
                                  to.stride};
  };
  const auto bias_at = [&](int64_t column) { return bias ? bias + column : nullptr; };
  const bool int8 = precision_ == Precision::kInt8;
  const void* operands = x;
  std::shared_ptr<std::byte> quantized;
  std::vector<float> row_scales;
  if (int8) {
    quantized = allocate(rows * depth_);
    row_scales.resize(static_cast<size_t>(rows));
    operands = quantized.get();
    parallel_rows(on, rows, depth_, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        row_scales[static_cast<size_t>(r)] = kernels::quantize(
            x + r * depth_, reinterpret_cast<int8_t*>(quantized.get()) + r * depth_, depth_);
      }
    });
  }
  const std::shared_ptr<std::byte> from = operands_of(operands, rows * depth_);
  const auto at_row = [&](int64_t row) {
    return from.get() + row * depth_ * operand_bytes(operands_);
  };
  for_blocks(on, rows, [&](const Panel& panel, int64_t row, int64_t count) {
    const int64_t columns = panel.columns;
    if (tiles_) {
      return kernels::amx_linear({.x = at_row(row),
                                  .rows = count,
                                  .depth = depth_,
                                  .packed = panel.data,
                                  .columns = columns,
                                  .row_scales = int8 ? row_scales.data() + row : nullptr,
                                  .column_scales = int8 ? scales_.data() + panel.column : nullptr,
                                  .bias = bias_at(panel.column),
                                  .activation = activation,
                                  .to = block_at(row, panel.column)});
    }
    const std::shared_ptr<std::byte> memory = allocate(count * columns * kResultBytes);
    auto* product = reinterpret_cast<float*>(memory.get());
    multiply_rows(panel, at_row(row), count, product);
    for (int64_t r = 0; int8 && r < count; ++r) {
      float* to = product + r * columns;
      const float row_scale = row_scales[static_cast<size_t>(row + r)];
      const float* column_scales = scales_.data() + panel.column;
      if (operands_ == Precision::kInt8) {
        kernels::dequantize(reinterpret_cast<const int32_t*>(to), row_scale, column_scales, to,
                            columns);
      } else {
        kernels::dequantize(to, row_scale, column_scales, to, columns);
      }
    }
    kernels::bias_activation({product, count, columns, columns}, bias_at(panel.column), activation,
                             block_at(row, panel.column));
  });
}

// A block that is higher than the rows left goes through padded copies: nothing is read or written
// past the last row.
void PackedWeight::multiply_rows(const Panel& panel, const void* x, int64_t rows, void* y) const {
  const kernels::Gemm& gemm = *panel.gemm;
  const int64_t x_bytes = depth_ * operand_bytes(operands_);
  const int64_t y_bytes = gemm.shape().stride * kResultBytes;
  const auto columns_bytes = static_cast<size_t>(gemm.shape().columns * kResultBytes);
  for (int64_t left = rows; left > 0;) {
    const kernels::Gemm::Block block = gemm.block(left, plain_ ? Layout::kPlain : Layout::kPacked);
    if (block.height <= left) {
      gemm.multiply(block, x, panel.data, y);
    } else {
      const std::shared_ptr<std::byte> padded_x = allocate(block.height * x_bytes);
      const std::shared_ptr<std::byte> padded_y = allocate(block.height * y_bytes);
      std::memcpy(padded_x.get(), x, static_cast<size_t>(left * x_bytes));
      std::memset(padded_x.get() + left * x_bytes, 0,
                  static_cast<size_t>((block.height - left) * x_bytes));
      gemm.multiply(block, padded_x.get(), panel.data, padded_y.get());
      for (int64_t r = 0; r < left; ++r) {
        std::memcpy(bytes_at(y, r * y_bytes), padded_y.get() + r * y_bytes, columns_bytes);
      }
    }
    x = bytes_at(x, block.height * x_bytes);
    y = bytes_at(y, block.height * y_bytes);
    left -= block.height;
  }
}

}  // namespace heddle
