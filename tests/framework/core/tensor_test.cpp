#include "framework/core/tensor.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

TEST(Shape, KnowsItsDimensions) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape.ndim(), 3);
  EXPECT_EQ(shape.numel(), 24);
  EXPECT_EQ(shape[0], 2);
  EXPECT_EQ(shape[-1], 4);
  EXPECT_EQ(to_string(shape), "[2, 3, 4]");
  EXPECT_EQ(fmt::format("{}", Shape{}), "[]");
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_FALSE((Shape{2, 3} == Shape{2, 3, 1}));
  EXPECT_TRUE((Shape{2, 0} == Shape{2, 0}));
}

TEST(Shape, MistakesAreNamed) {
  EXPECT_INVALID((Shape{1, 2, 3, 4, 5, 6}), "6 dimensions. Expected at most 5");
  EXPECT_INVALID((Shape{2, -1}), "dimension -1");
  EXPECT_INVALID((void)(Shape{2, 3}[2]), "dimension 2 of a shape with 2");
  EXPECT_INVALID((void)(Shape{2, 3}[-3]), "dimension -3 of a shape with 2");
}

TEST(DType, NamesGoBothWays) {
  for (const DType d :
       {DType::kF32, DType::kBF16, DType::kF16, DType::kI32, DType::kI64, DType::kU8}) {
    EXPECT_EQ(dtype_from_name(name_of(d)), d);
  }
  EXPECT_EQ(size_of(DType::kBF16), 2);
  EXPECT_EQ(size_of(DType::kI64), 8);
  EXPECT_INVALID(dtype_from_name("f64"), "unknown dtype 'f64'");
}

TEST(DType, Bf16RoundsToNearestEven) {
  EXPECT_EQ(f32_to_bf16(1.0f), 0x3f80);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f808000u)), 0x3f80);  // a tie, to even
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f818000u)), 0x3f82);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f808001u)), 0x3f81);
  EXPECT_EQ(bf16_to_f32(0xc040), -3.0f);
  EXPECT_EQ(f32_to_bf16(-INFINITY), 0xff80);
  for (const uint32_t bits : {0x7f800001u, 0x7fffffffu, 0xffffffffu}) {
    const float nan = bf16_to_f32(f32_to_bf16(std::bit_cast<float>(bits)));
    EXPECT_NE(nan, nan);
  }
}

TEST(DType, F16WidensExactly) {
  EXPECT_EQ(f16_to_f32(0x3c00), 1.0f);
  EXPECT_EQ(f16_to_f32(0xc500), -5.0f);
  EXPECT_EQ(f16_to_f32(0x0001), 0x1p-24f);
  EXPECT_EQ(f16_to_f32(0x7bff), 65504.0f);
  EXPECT_EQ(f16_to_f32(0xfc00), -INFINITY);
}

TEST(Tensor, CopiesShareMemoryAndClonesDoNot) {
  const Tensor a = Tensor::zeros({2, 3});
  const Tensor b = a;
  const Tensor c = a.clone();
  a.data<float>()[4] = 7;
  EXPECT_EQ(b.data<float>()[4], 7);
  EXPECT_EQ(c.data<float>()[4], 0);
  EXPECT_EQ(a.owners(), 2);
  EXPECT_EQ(c.owners(), 1);
}

TEST(Tensor, RowsAndReshapeAreViews) {
  const Tensor a = Tensor::from<float>(std::vector<float>{0, 1, 2, 3, 4, 5}, {3, 2});
  const Tensor middle = a.rows(1, 2);
  EXPECT_EQ(middle.shape(), (Shape{1, 2}));
  EXPECT_EQ(middle.data<float>()[1], 3);
  middle.fill(9);
  EXPECT_EQ(a.reshape({6}).data<float>()[2], 9);
  EXPECT_EQ(a.rows(3, 3).numel(), 0);
}

TEST(Tensor, ViewsOutliveTheTensor) {
  Tensor view;
  {
    const Tensor a = Tensor::from<int32_t>(std::vector<int32_t>{5, 6}, {2});
    view = a.rows(1, 2);
  }
  EXPECT_EQ(view.span<int32_t>()[0], 6);
}

TEST(Tensor, EmptyTensorsHaveNoElements) {
  const Tensor a = Tensor::zeros({0, 4});
  EXPECT_TRUE(a.defined());
  EXPECT_EQ(a.numel(), 0);
  EXPECT_TRUE(a.span<float>().empty());
  EXPECT_FALSE(Tensor().defined());
}

TEST(Tensor, MetaHasAShapeAndNoMemory) {
  const Tensor a = Tensor::empty({1 << 20, 1 << 20}, DType::kF32, Device::meta());
  EXPECT_EQ(a.numel(), int64_t{1} << 40);
  EXPECT_EQ(a.raw(), nullptr);
  EXPECT_EQ(a.rows(5, 9).shape(), (Shape{4, 1 << 20}));
  EXPECT_INVALID(a.data<float>(), "data of a meta tensor");
}

TEST(Tensor, MistakesAreNamed) {
  const Tensor a = Tensor::zeros({2, 3});
  EXPECT_INVALID(a.data<int32_t>(), "data<i32> of a f32 tensor");
  EXPECT_INVALID(Tensor().data<float>(), "data of an undefined tensor");
  EXPECT_INVALID(a.reshape({7}), "[reshape] [2, 3] to [7]");
  EXPECT_INVALID(a.rows(1, 3), "[rows] [1, 3) of a tensor of shape [2, 3]");
  EXPECT_INVALID(a.copy_from(Tensor::zeros({3, 2})), "[copy] f32 [3, 2] into f32 [2, 3]");
  EXPECT_INVALID(Tensor::from<float>(std::vector<float>{1, 2}, {3}), "2 values for shape [3]");
}

}  // namespace
}  // namespace heddle
