#include "framework/ops/packed_weight.h"

#include <algorithm>
#include <cstring>

#include "framework/device/allocator.h"
#include "framework/device/profile.h"
#include "framework/ops/detail/amx_linear.h"
#include "framework/ops/detail/convert.h"
#include "framework/ops/detail/divide_up.h"
#include "framework/ops/detail/gemm.h"
#include "framework/ops/detail/parallel_rows.h"
#include "framework/ops/detail/product.h"
#include "framework/ops/detail/second_cache.h"

namespace heddle {
namespace {

// Columns of a panel of the library's or of tiles.
constexpr int64_t kPanelColumns = 192;
// Rows that go through all panels together: x stays in the second-level cache meanwhile. Up to so
// many f32 products read each panel once.
constexpr int64_t kBlockRows = 512;
// Blocks that threads share have no fewer.
constexpr int64_t kLeastRows = 24;
// Rows that are finished at once: warm in the first-level cache.
constexpr int64_t kFinishedRows = 48;
// Rows of a weight that are whole kAliasing apart meet in few sets of the caches: they are copied,
// unless there is little to read them for.
constexpr int64_t kAliasing = 512;
constexpr int64_t kFewRowsAliasing = 64;
// Panels begin on cache lines.
constexpr int64_t kAlignment = 64;
constexpr int64_t kResultBytes = 4;  // of a product's element: f32 or i32
// On tiles, rows of a task where threads share the work.
constexpr int64_t kTileRows = 128;
// Tasks for each thread: none waits long for the last.
constexpr int64_t kTasks = 4;

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
    : precision_(precision), backward_(backward), most_rows_(rows) {
  check(weight.ndim() == 2 && weight.dtype() == DType::kF32 && weight.numel() > 0,
        "[packed_weight] a weight of shape {} and type {}. Expected f32 [out, in].", weight.shape(),
        name_of(weight.dtype()));
  check(!backward || precision != Precision::kInt8,
        "[packed_weight] a gradient by int8. Expected f32 or bf16.");
  const int64_t in = weight.dim(1);
  depth_ = backward ? weight.dim(0) : in;
  columns_ = backward ? in : weight.dim(0);
  if (kernels::amx_linear_fits(precision, depth_, columns_)) {
    maker_ = Maker::kTiles;
  } else if (precision != Precision::kF32 && kernels::Gemm::has(precision)) {
    maker_ = Maker::kLibrary;
  }
  if (maker_ != Maker::kF32) operands_ = precision;
  plain_ = precision == Precision::kF32 && rows <= kBlockRows;
  const int64_t width = maker_ == Maker::kF32 ? kernels::product_columns() : kPanelColumns;
  if (weight.device().is_meta()) {
    // The library's layouts take hardly more than the weight itself, its products so many rows.
    int64_t scratch = 0;
    if (maker_ == Maker::kTiles) {
      scratch = kernels::amx_linear_scratch(precision, rows, depth_);
    } else if (precision != Precision::kF32) {
      scratch = rows * depth_ * (operands_ == precision ? 0 : operand_bytes(operands_)) +
                std::min(rows, kBlockRows) * std::min(columns_, width) * kResultBytes;
    } else if (plain_) {
      scratch = width * depth_ * operand_bytes(operands_);
    }
    memory_ = allocate_planned((plain_ ? 0 : weight.numel()) * operand_bytes(operands_) + scratch);
    return;
  }
  for (int64_t column = 0; column < columns_; column += width) {
    Panel& panel = panels_.emplace_back();
    panel.column = column;
    panel.columns = std::min(width, columns_ - column);
    panel.data = weight.data<float>() + (backward ? column : column * in);
    panel.step = columns_;
    if (maker_ == Maker::kLibrary) {
      panel.gemm = kernels::Gemm::get({depth_, panel.columns, backward, operands_});
    }
  }
  if (plain_) {
    plain_weight_ = weight.detach();
  } else {
    pack(weight);
  }
}

int64_t PackedWeight::panel_bytes(const Panel& panel) const {
  switch (maker_) {
    case Maker::kF32:
      return kernels::panel_width(panel.columns) * depth_ * operand_bytes(operands_);
    case Maker::kTiles:
      return depth_ * panel.columns * operand_bytes(operands_);
    case Maker::kLibrary:
      break;
  }
  return panel.gemm->packed_bytes();
}

void PackedWeight::pack(const Tensor& weight) {
  const ProfiledSpan span("pack weight", name_of(precision_));
  std::vector<int64_t> offsets = {0};
  for (const Panel& panel : panels_) {
    offsets.push_back(offsets.back() + divide_up(panel_bytes(panel), kAlignment) * kAlignment);
  }
  bytes_ = offsets.back();
  memory_ = allocate(bytes_);
  if (precision_ == Precision::kInt8) scales_.resize(static_cast<size_t>(columns_));
  on_device(weight.device(), [&](const Cpu& on) {
    on.parallel_for(static_cast<int64_t>(panels_.size()), [&](int64_t i) {
      Panel& panel = panels_[static_cast<size_t>(i)];
      std::byte* packed = memory_.get() + offsets[static_cast<size_t>(i)];
      pack_panel(panel, packed);
      panel.data = packed;
      panel.step = kernels::panel_width(panel.columns);
    });
  });
  count_work({.moved_bytes = static_cast<double>(weight.bytes() + bytes_)});
}

void PackedWeight::pack_floats(const Panel& panel, const void* from, int64_t stride,
                               std::byte* packed) const {
  kernels::pack_panel(static_cast<const float*>(from),
                      {.columns = panel.columns, .depth = depth_, .stride = backward_ ? stride : 0},
                      reinterpret_cast<float*>(packed));
}

void PackedWeight::pack_panel(const Panel& panel, std::byte* packed) {
  const auto* weight = static_cast<const float*>(panel.data);
  const int64_t columns = panel.columns;
  if (precision_ == Precision::kF32) {
    pack_floats(panel, weight, columns_, packed);
  } else if (maker_ == Maker::kTiles && backward_) {
    kernels::amx_pack_backward(weight, columns_, depth_, columns,
                               reinterpret_cast<BFloat16*>(packed));
  } else if (maker_ == Maker::kTiles && precision_ == Precision::kBF16) {
    kernels::amx_pack_forward(weight, depth_, columns, reinterpret_cast<BFloat16*>(packed));
  } else {
    const int64_t numbers = depth_ * columns;
    const std::shared_ptr<std::byte> rounded = allocate(numbers * operand_bytes(precision_));
    round_panel(panel, weight, rounded.get());
    if (maker_ == Maker::kTiles) {
      kernels::amx_pack_forward(reinterpret_cast<const int8_t*>(rounded.get()), depth_, columns,
                                reinterpret_cast<int8_t*>(packed));
    } else if (maker_ == Maker::kF32) {
      pack_floats(panel, operands_of(rounded.get(), numbers).get(), columns, packed);
    } else {
      panel.gemm->pack(rounded.get(), packed);
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
void PackedWeight::round_panel(const Panel& panel, const float* weight, std::byte* to) {
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
  if (!backward_) {
    kernels::convert(weight, numbers, columns * depth_);
    return;
  }
  for (int64_t k = 0; k < depth_; ++k) {
    kernels::convert(weight + k * columns_, numbers + k * columns, columns);
  }
}

// Rows of a task: many, unless threads would then have too few tasks to share.
int64_t PackedWeight::task_height(const Cpu& on, int64_t rows) const {
  switch (maker_) {
    case Maker::kF32:
      break;
    case Maker::kTiles:
      return on.threads() == 1 ? rows : kTileRows;
    case Maker::kLibrary:
      return panels_.front().gemm->block_height();
  }
  if (on.threads() == 1) return kBlockRows;
  const int64_t wanted = divide_up(kTasks * on.threads(), static_cast<int64_t>(panels_.size()));
  const int64_t blocks = std::max(divide_up(rows, kBlockRows), wanted);
  return std::max(divide_up(rows, blocks), kLeastRows);
}

// Panels on tiles follow one another without a gap: what stays in cache is one to who multiplies,
// so that x passes by less often.
int64_t PackedWeight::panels_together(const Cpu& on) const {
  if (maker_ != Maker::kTiles || on.threads() > 1) return 1;
  return std::max<int64_t>(1, half_of_second_cache() / panel_bytes(panels_.front()));
}

// Rows of dy · W can be read where they lie, if the last vector of a panel ends in the weight.
bool PackedWeight::reads_in_place(const Panel& panel, int64_t rows) const {
  return backward_ && panel.columns == kernels::panel_width(panel.columns) &&
         (columns_ % kAliasing != 0 || rows <= kFewRowsAliasing);
}

template <typename Make>
void PackedWeight::for_blocks(const Cpu& on, int64_t rows, Make&& make) const {
  if (rows == 0) return;
  check(!panels_.empty(), "[packed_weight] a product with a weight that was never packed.");
  check(rows <= most_rows_,
        "[packed_weight] {} rows. Expected at most {}, for which it was packed.", rows, most_rows_);
  const int64_t height = task_height(on, rows);
  const int64_t together = panels_together(on);
  const auto panels = static_cast<int64_t>(panels_.size());
  const int64_t groups = divide_up(panels, together);
  // A block of rows stays in cache while the panels come by.
  on.parallel_for(groups * divide_up(rows, height), [&](int64_t i) {
    const int64_t row = i / groups * height;
    const int64_t first = i % groups * together;
    const int64_t count = std::min(height, rows - row);
    if (together == 1) return make(panels_[static_cast<size_t>(first)], row, count);
    Panel group = panels_[static_cast<size_t>(first)];
    for (int64_t p = first + 1; p < std::min(first + together, panels); ++p) {
      group.columns += panels_[static_cast<size_t>(p)].columns;
    }
    make(group, row, count);
  });
}

void PackedWeight::multiply(const Cpu& on, const float* x, int64_t rows, float* y,
                            const Epilogue& epilogue) const {
  check(precision_ == Precision::kF32, "[packed_weight] f32 rows and a weight packed as {}.",
        name_of(precision_));
  for_blocks(on, rows, [&](const Panel& panel, int64_t first, int64_t count) {
    Panel packed = panel;
    std::shared_ptr<std::byte> memory;
    if (plain_ && !reads_in_place(panel, rows)) {
      memory = allocate(panel_bytes(panel));
      pack_floats(panel, panel.data, columns_, memory.get());
      packed.data = memory.get();
      packed.step = kernels::panel_width(panel.columns);
    }
    const int64_t height = epilogue ? kFinishedRows : count;
    for (int64_t row = first; row < first + count; row += height) {
      const int64_t n = std::min(height, first + count - row);
      float* to = y + row * columns_ + panel.column;
      multiply_rows(packed, x + row * depth_, n, to, columns_);
      if (epilogue) epilogue({to, n, panel.columns, columns_}, row, panel.column);
    }
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
    if (maker_ == Maker::kTiles) {
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
    multiply_rows(panel, at_row(row), count, product, columns);
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

// A block of the library's that is higher than the rows left goes through padded copies: nothing is
// read or written past the last row.
void PackedWeight::multiply_rows(const Panel& panel, const void* x, int64_t rows, void* y,
                                 int64_t stride) const {
  if (maker_ == Maker::kF32) {
    return kernels::product({.x = static_cast<const float*>(x),
                             .rows = rows,
                             .depth = depth_,
                             .panel = static_cast<const float*>(panel.data),
                             .step = panel.step,
                             .columns = panel.columns,
                             .y = static_cast<float*>(y),
                             .stride = stride});
  }
  const kernels::Gemm& gemm = *panel.gemm;
  const int64_t x_bytes = depth_ * operand_bytes(operands_);
  const int64_t y_bytes = panel.columns * kResultBytes;
  for (int64_t left = rows; left > 0;) {
    const kernels::Gemm::Block block = gemm.block(left);
    if (block.height <= left) {
      gemm.multiply(block, x, panel.data, y);
    } else {
      const std::shared_ptr<std::byte> padded_x = allocate(block.height * x_bytes);
      const std::shared_ptr<std::byte> padded_y = allocate(block.height * y_bytes);
      std::memcpy(padded_x.get(), x, static_cast<size_t>(left * x_bytes));
      std::memset(padded_x.get() + left * x_bytes, 0,
                  static_cast<size_t>((block.height - left) * x_bytes));
      gemm.multiply(block, padded_x.get(), panel.data, padded_y.get());
      std::memcpy(y, padded_y.get(), static_cast<size_t>(left * y_bytes));
    }
    x = bytes_at(x, block.height * x_bytes);
    y = bytes_at(y, block.height * y_bytes);
    left -= block.height;
  }
}

}  // namespace heddle
