#include "framework/nn/module.h"

#include "framework/nn/layer_norm.h"
#include "framework/nn/linear.h"
#include "tests/support/expect_throw.h"
#include "tests/support/tensors.h"

namespace heddle {
namespace {

struct Block : Module {
  Block() : layers{Linear(3, 4), Linear(4, 2, {.bias = false})}, norm(2, 1e-5f) {}
  void visit(Visitor& v) override {
    v("layers", layers);
    v("norm", norm);
    v("scale", scale);
  }

  std::vector<Linear> layers;
  LayerNorm norm;
  Parameter scale{{5}};
};

TEST(Module, ParametersHavePathsInTheOrderOfTheVisit) {
  Block block;
  std::vector<std::string> names;
  for (const auto& [name, parameter] : named_parameters(block)) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"layers.0.weight", "layers.0.bias", "layers.1.weight",
                                             "norm.weight", "norm.bias", "scale"}));
  EXPECT_EQ(count_parameters(block), 3 * 4 + 4 + 4 * 2 + 2 + 2 + 5);
}

TEST(Module, AParameterThatDoesNotExistIsNotVisited) {
  const Linear without(3, 4, {.bias = false});
  EXPECT_FALSE(without.bias.exists());
  EXPECT_TRUE(without.weight.exists());
}

TEST(Parameter, ShardHasTheShapeOfItsPart) {
  const Parameter p({6, 4}, {}, {.dim = 1, .begin = 2, .extent = 2});
  EXPECT_EQ(p.shape(), Shape({6, 2}));
  EXPECT_EQ(p.whole_shape(), Shape({6, 4}));
  EXPECT_TRUE(p.is_matrix());
  EXPECT_FALSE(Parameter({6}).is_matrix());
}

TEST(Linear, IsXTimesWeightTransposedPlusBias) {
  Linear layer(2, 3);
  layer.weight.value = Tensor::from<float>(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2});
  layer.bias.value = Tensor::from<float>(std::vector<float>{10, 20, 30}, {3});
  const Tensor x = Tensor::from<float>(std::vector<float>{1, -1}, {1, 2});
  expect_near(layer(x), {9, 19, 29}, 0);
}

TEST(Module, CopiedTablesHaveMemoryOfTheirOwn) {
  struct Table : Module {
    Table() : table({4, 2}), other({4, 2}) { table.row_sparse = true; }
    void visit(Visitor& v) override {
      v("table", table);
      v("other", other);
    }
    Parameter table, other;
  } module;
  const std::vector<float> numbers = {1, 2, 3, 4, 5, 6, 7, 8};
  const Tensor rows = Tensor::from<float>(numbers, {4, 2});
  module.table.value = module.other.value = rows;
  copy_tables(module);
  EXPECT_NE(module.table.value.raw(), rows.raw());
  EXPECT_EQ(module.other.value.raw(), rows.raw());
  const auto copied = module.table.value.span<const float>();
  EXPECT_TRUE(std::ranges::equal(copied, numbers));
}

TEST(Linear, PackedWeightsGiveTheBitsOfPlainOnes) {
  for (const Activation activation : {Activation::kNone, Activation::kGelu, Activation::kTanh}) {
    for (const int64_t rows : {1, 7, 33}) {
      Linear layer(48, 72, {.activation = activation});
      layer.weight.value = random_tensor({72, 48}, "w");
      layer.bias.value = random_tensor({72}, "b");
      const Tensor x = random_tensor({rows, 48}, "x");
      const Tensor plain = layer(x);
      pack_weights(layer);
      EXPECT_FALSE(layer.weight.value.defined());
      EXPECT_TRUE(layer.bias.value.defined());
      EXPECT_TRUE(same_bits(layer(x), plain)) << rows << " rows";
    }
  }
}

TEST(LayerNorm, WithoutDropoutAddsTheResidual) {
  LayerNorm norm(8, 1e-5f);
  norm.weight.value = random_tensor({8}, "gain");
  norm.bias.value = random_tensor({8}, "shift");
  const Tensor x = random_tensor({3, 8}, "x"), residual = random_tensor({3, 8}, "residual");
  Tensor sum = x.clone();
  for (int64_t i = 0; i < sum.numel(); ++i) sum.data<float>()[i] += residual.data<float>()[i];
  EXPECT_TRUE(same_bits(norm(x, residual, {}), norm(sum)));
}

}  // namespace
}  // namespace heddle
