#include "framework/ops/precision_speed.h"

#include <gtest/gtest.h>

#include "framework/device/cpu_features.h"
#include "framework/ops/detail/amx.h"

namespace heddle {
namespace {

TEST(PrecisionSpeed, TilesMakeBothFastAndVnniInt8Alone) {
  EXPECT_TRUE(has_fast_products(Precision::kF32));
  EXPECT_EQ(has_fast_products(Precision::kBF16), amx_available());
  EXPECT_EQ(has_fast_products(Precision::kInt8), amx_available() || has_avx512_vnni());
  EXPECT_EQ(fastest_safe_precision(), amx_available() ? Precision::kBF16 : Precision::kF32);
}

TEST(PrecisionSpeed, F32IsLeftWhereTheCapAllowsNoneOfThem) {
  if (max_isa() > Isa::kAvx2) GTEST_SKIP() << "runs under HEDDLE_MAX_ISA=avx2";
  EXPECT_FALSE(has_fast_products(Precision::kBF16));
  EXPECT_FALSE(has_fast_products(Precision::kInt8));
  EXPECT_EQ(fastest_safe_precision(), Precision::kF32);
}

}  // namespace
}  // namespace heddle
