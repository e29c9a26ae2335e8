#include "framework/device/cpu_features.h"

#include <gtest/gtest.h>

#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

TEST(CpuFeatures, CapsHaveNames) {
  EXPECT_EQ(isa_from_name("avx2"), Isa::kAvx2);
  EXPECT_EQ(isa_from_name("avx512"), Isa::kAvx512);
  EXPECT_EQ(isa_from_name("amx"), Isa::kAmx);
  EXPECT_EQ(isa_from_name(nullptr), Isa::kAmx);
}

TEST(CpuFeatures, AnUnknownCapIsNamed) {
  EXPECT_INVALID(isa_from_name("avx"), "HEDDLE_MAX_ISA is 'avx'. Expected avx2, avx512 or amx.");
  EXPECT_INVALID(isa_from_name(""), "HEDDLE_MAX_ISA is ''");
}

TEST(CpuFeatures, NothingIsBeyondTheCap) {
  EXPECT_TRUE(max_isa() == Isa::kAmx || !has_amx());
  EXPECT_TRUE(max_isa() >= Isa::kAvx512 || !has_avx512_vnni());
}

}  // namespace
}  // namespace heddle
