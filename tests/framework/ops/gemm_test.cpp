// The contract that numerics rest on: the bits of a row of a product depend on that row and the
// weight alone; those of a weight gradient on the leaves alone.
#include "framework/ops/detail/gemm.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "framework/ops/detail/convert.h"
#include "framework/ops/detail/product.h"
#include "framework/ops/packed_weight.h"
#include "tests/framework/ops/linear_reference.h"

namespace heddle {
namespace {

using kernels::Gemm;
using Bytes = std::vector<std::byte>;

// `t` as the operands of a product: rounded, or to integers of 8 bits.
Bytes operands_of(const Tensor& t, Precision precision) {
  Bytes bytes(static_cast<size_t>(t.numel() * operand_bytes(precision)));
  if (precision == Precision::kBF16) {
    kernels::convert(t.data<float>(), reinterpret_cast<BFloat16*>(bytes.data()), t.numel());
  } else {
    kernels::quantize(t.data<float>(), reinterpret_cast<int8_t*>(bytes.data()), t.numel());
  }
  return bytes;
}

struct Sizes {
  int64_t rows, out, in;
};

// Odd sizes, narrow heads, sizes around those of tiles (6 rows), panels (16 and 64 columns) and
// blocks (512 rows), and MiniLM's.
const std::vector<Sizes> kSizes = {{1, 1, 1},      {1, 2, 384},    {3, 5, 7},      {10, 384, 384},
                                   {17, 193, 31},  {54, 384, 96},  {71, 191, 64},  {72, 192, 384},
                                   {73, 192, 33},  {145, 577, 8},  {300, 10, 129}, {5, 1536, 384},
                                   {7, 384, 1536}, {40, 1, 31},    {90, 2, 384},   {33, 3, 768},
                                   {515, 70, 50},  {513, 128, 17}, {40, 70, 512},  {70, 30, 512}};

std::vector<float> product(const Tensor& x, const PackedWeight& weight,
                           ThreadPool* pool = nullptr) {
  std::vector<float> y(static_cast<size_t>(x.dim(0) * weight.columns()), -1.0f);
  weight.multiply(Cpu{pool}, x.data<float>(), x.dim(0), y.data());
  return y;
}

TEST(Product, PanelHoldsEachElementInItsPlaceAndZeros) {
  for (const auto& [rows, out, in] : kSizes) {
    const Tensor w = noise({out, in}, 1);
    const auto at = [&](int64_t o, int64_t i) { return w.data<float>()[o * in + i]; };
    int64_t width = kernels::panel_width(out);
    std::vector<float> panel(static_cast<size_t>(width * in), -1.0f);
    kernels::pack_panel(w.data<float>(), {.columns = out, .depth = in}, panel.data());
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t o = 0; o < width; ++o) {
        ASSERT_EQ(panel[static_cast<size_t>(i * width + o)], o < out ? at(o, i) : 0)
            << o << ' ' << i;
      }
    }
    const int64_t first = in / 3;
    const int64_t columns = in - first;
    width = kernels::panel_width(columns);
    panel.assign(static_cast<size_t>(width * out), -1.0f);
    kernels::pack_panel(w.data<float>() + first, {.columns = columns, .depth = out, .stride = in},
                        panel.data());
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t i = 0; i < width; ++i) {
        ASSERT_EQ(panel[static_cast<size_t>(o * width + i)], i < columns ? at(o, first + i) : 0)
            << o << ' ' << i;
      }
    }
  }
}

// One chain of fused multiply-adds, whatever the instruction set.
TEST(Product, BitsAreThoseOfOneChain) {
  for (const auto& [rows, out, in] : kSizes) {
    const Tensor w = noise({out, in}, 1);
    const Tensor x = noise({rows, in}, 2);
    const std::vector<float> y = product(x, PackedWeight::forward(w));
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t o = 0; o < out; ++o) {
        float sum = 0;
        for (int64_t k = 0; k < in; ++k) {
          sum = std::fma(x.data<float>()[r * in + k], w.data<float>()[o * in + k], sum);
        }
        ASSERT_EQ(y[static_cast<size_t>(r * out + o)], sum) << r << ' ' << o;
      }
    }
  }
}

TEST(PackedWeight, ForwardAndBackwardProductsAreRight) {
  for (const auto& [rows, out, in] : kSizes) {
    const Tensor w = noise({out, in}, 1);
    const Tensor x = noise({rows, in}, 2);
    const Tensor dy = noise({rows, out}, 3);
    const std::vector<double> expected = reference_forward(x, w);
    const std::vector<double> expected_dx = reference_input_gradient(dy, w);
    for (const int64_t hint : {rows, int64_t{1} << 40}) {  // plain, packed
      const std::vector<float> y = product(x, PackedWeight::forward(w, hint));
      const std::vector<float> dx = product(dy, PackedWeight::backward(w, hint));
      EXPECT_LT(largest_error(y, expected), 3e-5) << rows << ' ' << out << ' ' << in;
      EXPECT_LT(largest_error(dx, expected_dx), 3e-5) << rows << ' ' << out << ' ' << in;
    }
  }
}

TEST(PackedWeight, RowsKeepTheirBitsAmongOtherRows) {
  for (const auto& [rows, out, in] : kSizes) {
    const Tensor w = noise({out, in}, 1);
    const Tensor x = noise({rows, in}, 2);
    const std::vector<float> all = product(x, PackedWeight::forward(w));
    const std::vector<float> dx = product(noise({rows, out}, 3), PackedWeight::backward(w));
    for (const int64_t begin : {int64_t{0}, rows / 3, rows - 1}) {
      for (const int64_t count :
           {int64_t{1}, int64_t{2}, int64_t{6}, (rows - begin) / 2, rows - begin}) {
        if (count < 1 || begin + count > rows) continue;
        for (const int64_t hint : {count, int64_t{1} << 40}) {  // plain, packed
          EXPECT_EQ(product(x.rows(begin, begin + count), PackedWeight::forward(w, hint)),
                    slice(all, begin * out, count * out))
              << "rows " << begin << " + " << count << " of " << rows << ", " << out << " x " << in;
          EXPECT_EQ(product(noise({rows, out}, 3).rows(begin, begin + count),
                            PackedWeight::backward(w, hint)),
                    slice(dx, begin * in, count * in));
        }
      }
    }
  }
}

TEST(PackedWeight, BitsDoNotDependOnThreadsAndRepeat) {
  for (const auto& [rows, out, in] : kSizes) {
    const Tensor x = noise({rows, in}, 2);
    const std::vector<float> alone = product(x, PackedWeight::forward(noise({out, in}, 1)));
    for (const int threads : {1, 2, 3, 4}) {
      ThreadPool pool(threads);
      const Tensor w = noise({out, in}, 1, Device::cpu(&pool));
      for (const int64_t hint : {rows, int64_t{1} << 40}) {
        const PackedWeight packed = PackedWeight::forward(w, hint);
        EXPECT_EQ(product(x, packed, &pool), alone) << threads << " threads";
        EXPECT_EQ(product(x, packed, &pool), alone) << "again, " << threads << " threads";
      }
    }
  }
}

TEST(PackedWeight, WritesNothingPastTheLastRow) {
  const Tensor w = noise({5, 7}, 1);
  const Tensor x = noise({75, 7}, 2);
  std::vector<float> y(75 * 5 + 32, 42.0f);
  PackedWeight::forward(w).multiply(Cpu{}, x.data<float>(), 75, y.data());
  EXPECT_EQ(slice(y, 75 * 5, 32), std::vector<float>(32, 42.0f));
}

TEST(PackedWeight, EpilogueSeesEachElementOnce) {
  const Tensor w = noise({500, 7}, 1);
  const Tensor x = noise({150, 7}, 2);
  std::vector<float> y(150 * 500);
  std::vector<int> seen(150 * 500, 0);
  ThreadPool pool(2);
  PackedWeight::forward(w).multiply(
      Cpu{&pool}, x.data<float>(), 150, y.data(),
      [&](const kernels::RowBlock& block, int64_t row, int64_t column) {
        EXPECT_EQ(block.data, y.data() + row * 500 + column);
        EXPECT_EQ(block.stride, 500);
        for (int64_t r = 0; r < block.rows; ++r) {
          for (int64_t c = 0; c < block.columns; ++c) {
            ++seen[static_cast<size_t>((row + r) * 500 + column + c)];
          }
        }
      });
  EXPECT_EQ(seen, std::vector<int>(150 * 500, 1));
}

TEST(PackedWeight, KnowsItsMemory) {
  EXPECT_GE(PackedWeight::forward(noise({200, 30}, 1)).bytes(), 200 * 30 * 4);
  EXPECT_EQ(PackedWeight::forward(Tensor::empty({200, 30}, DType::kF32, Device::meta())).bytes(),
            0);
}

// Every height that is handed out gives, in every place, the bits that the block's own height
// gives. (Bits alone are compared: those of integers are as good.)
void expect_the_same_bits_everywhere(Precision operands) {
  for (const bool depth_major : {false, true}) {
    const Gemm::Shape shape{
        .depth = 96, .columns = 40, .depth_major = depth_major, .operands = operands};
    const Gemm gemm(shape);
    const Bytes b = operands_of(noise({shape.depth * shape.columns}, 1), operands);
    Bytes packed(static_cast<size_t>(gemm.packed_bytes()));
    gemm.pack(b.data(), packed.data());
    const Bytes row = operands_of(noise({1, shape.depth}, 2), operands);
    std::vector<int32_t> expected;
    for (int64_t rows = 1; rows <= gemm.block_height() + 1; ++rows) {
      const Gemm::Block block = gemm.block(rows);
      ASSERT_GE(block.height, std::min(rows, gemm.block_height()));
      Bytes a;
      for (int64_t r = 0; r < block.height; ++r) a.insert(a.end(), row.begin(), row.end());
      std::vector<int32_t> c(static_cast<size_t>(block.height * shape.columns));
      gemm.multiply(block, a.data(), packed.data(), c.data());
      if (expected.empty()) expected.assign(c.begin(), c.begin() + shape.columns);
      for (int64_t r = 0; r < block.height; ++r) {
        const auto begin = c.begin() + r * shape.columns;
        ASSERT_EQ(std::vector<int32_t>(begin, begin + shape.columns), expected)
            << "row " << r << " of a block of " << block.height;
      }
    }
    EXPECT_NE(gemm.block(1).product, nullptr);
  }
}

TEST(Gemm, EveryHeightAndPlaceGivesTheSameBits) {
  for (const Precision operands : {Precision::kBF16, Precision::kInt8}) {
    if (!Gemm::has(operands)) continue;
    SCOPED_TRACE(name_of(operands));
    expect_the_same_bits_everywhere(operands);
  }
}

TEST(Gemm, OneObjectPerShape) {
  if (!Gemm::has(Precision::kBF16)) GTEST_SKIP() << "no products in bf16 here";
  const Gemm::Shape shape{.depth = 8, .columns = 4};
  EXPECT_EQ(Gemm::get(shape), Gemm::get(shape));
  EXPECT_NE(Gemm::get(shape), Gemm::get({.depth = 8, .columns = 5}));
}

TEST(Gemm, RefusesImpossibleShapes) {
  const Gemm::Shape shape{.depth = 8, .columns = 0};
  EXPECT_INVALID(Gemm{shape}, "Expected positive sizes");
}

TEST(PackedWeight, RefusesWhatIsNoMatrix) {
  EXPECT_INVALID(PackedWeight::forward(noise({8}, 1)), "Expected f32 [out, in]");
  float x = 0;
  EXPECT_INVALID(PackedWeight().multiply(Cpu{}, &x, 1, &x), "never packed");
  EXPECT_INVALID(PackedWeight::forward(noise({1, 1}, 1), 1).multiply(Cpu{}, &x, 2, &x),
                 "at most 1, for which it was packed");
}

}  // namespace
}  // namespace heddle
