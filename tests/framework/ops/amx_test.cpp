#include "framework/ops/detail/amx.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/tensors.h"

namespace heddle {
namespace {

// B [depth, columns] in the order that amx.h states.
Tensor tiles_of(const Tensor& b, int64_t depth, int64_t columns) {
  const Tensor tiles = Tensor::zeros({depth, columns}, DType::kBF16);
  for (int64_t k = 0; k < depth; ++k) {
    for (int64_t n = 0; n < columns; ++n) {
      const int64_t at = n / 16 * depth * 16 + k / 32 * 512 + k % 32 / 2 * 32 + n % 16 * 2 + k % 2;
      tiles.data<BFloat16>()[at] = b.data<BFloat16>()[k * columns + n];
    }
  }
  return tiles;
}

TEST(AmxProduct, EqualsThePlainLoops) {
  if (!amx_available()) GTEST_SKIP() << "no AMX here, or HEDDLE_MAX_ISA is below it";
  for (const int64_t rows : {16, 32, 48}) {
    for (const int64_t columns : {16, 32, 80}) {
      for (const int64_t depth : {32, 96}) {
        const Tensor a = to_bf16(random_tensor({rows, depth}, "a"));
        const Tensor b = to_bf16(random_tensor({depth, columns}, "b"));
        const Tensor wide_a = to_f32(a), wide_b = to_f32(b);
        const Tensor tiles = tiles_of(b, depth, columns);
        const Tensor before = random_tensor({rows, columns}, "c");
        for (const bool accumulate : {false, true}) {
          const Tensor c = before.clone();
          {
            const AmxTiles registers;
            amx_product(rows, columns, depth, {a.data<BFloat16>(), depth},
                        {tiles.data<BFloat16>(), depth * 16},
                        {c.data<float>(), columns, accumulate});
          }
          std::vector<double> expected;
          for (int64_t i = 0; i < rows * columns; ++i) {
            double sum = accumulate ? before.data<float>()[i] : 0;
            for (int64_t k = 0; k < depth; ++k) {
              sum += double{wide_a.data<float>()[i / columns * depth + k]} *
                     wide_b.data<float>()[k * columns + i % columns];
            }
            expected.push_back(sum);
          }
          expect_near(c, expected, 1e-5);
        }
      }
    }
  }
}

TEST(AmxTiles, SetBackWhatWasSetUpBefore) {
  if (!amx_available()) GTEST_SKIP() << "no AMX here, or HEDDLE_MAX_ISA is below it";
  const Tensor a = to_bf16(random_tensor({16, 32}, "a")), b = to_bf16(random_tensor({32, 16}, "b"));
  const Tensor first = Tensor::empty({16, 16}), second = Tensor::empty({16, 16});
  const AmxTiles outer;
  for (const Tensor& c : {first, second}) {
    amx_product(16, 16, 32, {a.data<BFloat16>(), 32}, {b.data<BFloat16>(), 512},
                {c.data<float>(), 16});
    const AmxTiles inner;
  }
  EXPECT_TRUE(same_bits(first, second));
}

}  // namespace
}  // namespace heddle
