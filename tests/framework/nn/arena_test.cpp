#include "framework/nn/arena.h"

#include <cmath>

#include "framework/nn/layer_norm.h"
#include "framework/nn/linear.h"
#include "tests/support/expect_throw.h"
#include "tests/support/tensors.h"

namespace heddle {
namespace {

struct Small : Module {
  Small() : linear(5, 3), norm(3, 1e-5f), table({7, 3}, {Initializer::Kind::kNormal, 0.5f, 2}) {}
  void visit(Visitor& v) override {
    v("linear", linear);
    v("norm", norm);
    v("table", table);
  }

  Linear linear;
  LayerNorm norm;
  Parameter table;
};

TEST(ParameterArena, EntriesAreAlignedViewsOfOneBlock) {
  Small model;
  const ParameterArena arena(model, Device::cpu());
  EXPECT_EQ(arena.size(), 16 + 16 + 16 + 16 + 32);
  EXPECT_EQ(arena.zeros_flat().numel(), arena.size());
  for (const ParameterArena::Entry& entry : arena.entries()) {
    EXPECT_EQ(entry.offset % 16, 0) << entry.name;
    EXPECT_EQ(entry.numel, entry.parameter->value.numel()) << entry.name;
    EXPECT_EQ(entry.parameter->value.raw(),
              arena.values().raw() + entry.offset * static_cast<int64_t>(sizeof(float)))
        << entry.name;
  }
}

TEST(Initialize, FollowsEachParametersInitializer) {
  Small model;
  const ParameterArena arena(model, Device::cpu());
  arena.values().fill(9);
  initialize(arena, 1);
  for (float v : model.linear.bias.value.span<float>()) EXPECT_EQ(v, 0);
  for (float v : model.norm.weight.value.span<float>()) EXPECT_EQ(v, 1);
  for (float v : model.table.value.rows(2, 3).span<float>()) EXPECT_EQ(v, 0);
  for (float v : model.table.value.rows(3, 7).span<float>()) {
    EXPECT_NE(v, 0);
    EXPECT_LT(std::abs(v), 0.5f * 6);
  }
}

TEST(Initialize, DependsOnSeedAndNameAlone) {
  Small a, b;
  const ParameterArena first(a, Device::cpu()), second(b, Device::cpu());
  initialize(first, 3);
  second.values().fill(7);
  initialize("linear.weight", b.linear.weight, 3);
  EXPECT_TRUE(same_bits(a.linear.weight.value, b.linear.weight.value));
  initialize("linear.weight", b.linear.weight, 4);
  EXPECT_FALSE(same_bits(a.linear.weight.value, b.linear.weight.value));
  initialize("other.weight", b.linear.weight, 3);
  EXPECT_FALSE(same_bits(a.linear.weight.value, b.linear.weight.value));
}

TEST(Initialize, LeavesAMetaTensorAlone) {
  Small model;
  const ParameterArena arena(model, Device::meta());
  initialize(arena, 1);
  EXPECT_EQ(model.table.value.shape(), Shape({7, 3}));
  EXPECT_EQ(model.table.value.raw(), nullptr);
}

}  // namespace
}  // namespace heddle
