// Sharded equals whole: each parallel layer against itself on one rank with one part (within a
// tolerance: the sums are cut), and with the same parts on fewer ranks (bit for bit).
#include <map>
#include <mutex>

#include "framework/comm/threads.h"
#include "framework/nn/arena.h"
#include "framework/nn/shard.h"
#include "framework/parallel/column_linear.h"
#include "framework/parallel/mesh.h"
#include "framework/parallel/row_linear.h"
#include "framework/parallel/vocab_embedding.h"
#include "tests/support/expect_throw.h"
#include "tests/support/tensors.h"

namespace heddle {
namespace {

struct Sizes {
  int64_t vocabulary = 23, heads = 4, head_dim = 8, intermediate = 37;
  int64_t hidden() const { return heads * head_dim; }
};

// All parallel layers, one after another.
struct Block : Module {
  Block(const Sizes& s, const Group& group)
      : word(s.vocabulary, s.hidden(), group, {.deviation = 1, .padding_row = 2}),
        position({9, s.hidden()}, {Initializer::Kind::kNormal, 1}),
        qkv(s.hidden(), 3 * s.hidden(), group, {.deviation = 0.3f, .blocks = 3, .units = s.heads}),
        output(s.hidden(), s.hidden(), group, {.deviation = 0.3f, .units = s.heads}),
        up(s.hidden(), s.intermediate, group, {.deviation = 0.3f, .activation = Activation::kGelu}),
        down(s.intermediate, s.hidden(), group, {.deviation = 0.3f}),
        group(group),
        heads(static_cast<int>(s.heads)) {}

  Tensor operator()(const Tensor& ids, const Tensor& positions, const Segments& segments,
                    const Dropout& dropout) const {
    const Tensor x = word.sum(ids, position.value, positions, {}, {});
    const Parts context =
        attention(qkv(x), segments, {.heads = heads, .scale = 0.3f, .dropout = dropout}, group);
    return down(up(output(context)));
  }
  void visit(Visitor& v) override {
    v("word", word);
    v("position", position);
    v("qkv", qkv);
    v("output", output);
    v("up", up);
    v("down", down);
  }

  VocabEmbedding word;
  Parameter position;
  ColumnLinear qkv;
  RowLinear output;
  ColumnLinear up;
  RowLinear down;
  Group group;
  int heads;
};

const std::vector<int32_t> kOffsets = {0, 3, 7};

using Results = std::map<std::string, Tensor>;

// The output and the whole gradients, put together from all ranks.
Results run_block(const Sizes& sizes, int ranks, int parts, float dropout = 0) {
  Results results;
  std::mutex mutex;
  run_threads(ranks, [&](Communicator& world) {
    const Mesh mesh(world, {.data = 1, .tensor = ranks});
    Block block(sizes, mesh.group(parts));
    ParameterArena arena(block, Device::cpu());
    initialize(arena, 7);
    for (const auto& entry : arena.entries()) {
      entry.parameter->value = variable(entry.parameter->value);
    }
    const Tensor ids = tensor_of<int32_t>({1, 22, 2, 7, 7, 11, 5});
    const Tensor positions = tensor_of<int32_t>({0, 1, 2, 0, 1, 2, 3});
    const Tensor y =
        block(ids, positions, Segments::from(kOffsets),
              {.p = dropout, .seed = 5, .step = 3, .layer = 1, .row_keys = row_keys({3, 4})});
    backward(y, random_tensor(y.shape(), "dy"));
    const std::scoped_lock lock(mutex);
    if (world.rank() == 0) results["output"] = y.detach();
    for (const auto& entry : arena.entries()) {
      const Parameter& parameter = *entry.parameter;
      Tensor& whole = results[entry.name];
      if (!whole.defined()) whole = Tensor::zeros(parameter.whole_shape());
      const Tensor gradient = dense_gradient(parameter.value);
      for_each_run(parameter, [&](ShardRun run) {
        std::copy_n(gradient.data<float>() + run.local, run.count, whole.data<float>() + run.whole);
      });
    }
  });
  return results;
}

void expect_close(const Results& a, const Results& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    const Tensor& other = b.at(name);
    ASSERT_EQ(tensor.shape(), other.shape()) << name;
    for (int64_t i = 0; i < tensor.numel(); ++i) {
      ASSERT_NEAR(tensor.data<float>()[i], other.data<float>()[i], 2e-4) << name << " " << i;
    }
  }
}

void expect_equal(const Results& a, const Results& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) EXPECT_TRUE(same_bits(tensor, b.at(name))) << what << name;
}

TEST(ParallelLayers, ShardedEqualsWhole) {
  const Results whole = run_block({}, 1, 1);
  for (const int ranks : {2, 4}) expect_close(whole, run_block({}, ranks, ranks));
}

TEST(ParallelLayers, OddSizesOnThreeRanks) {
  const Sizes odd{.vocabulary = 23, .heads = 5, .head_dim = 3, .intermediate = 17};
  expect_close(run_block(odd, 1, 1), run_block(odd, 3, 3));
}

TEST(ParallelLayers, TheSamePartsOnAnyNumberOfRanksHaveTheSameBits) {
  for (const float dropout : {0.0f, 0.3f}) {
    const Results one = run_block({}, 1, 4, dropout);
    for (const int ranks : {2, 4}) {
      expect_equal(one, run_block({}, ranks, 4, dropout), fmt::format("{} ranks: ", ranks));
    }
  }
}

TEST(ParallelLayers, DropoutOfAHeadDoesNotDependOnItsPart) {
  expect_close(run_block({}, 1, 1, 0.3f), run_block({}, 2, 2, 0.3f));
}

TEST(ParallelLayers, OnTheMetaDeviceNoRanksAreNeeded) {
  Block block({}, Group(4, 1, 4));
  const ParameterArena arena(block, Device::meta());
  const Tensor ids = Tensor::empty({7}, DType::kI32, Device::meta());
  EXPECT_EQ(block(ids, ids, Segments::from(kOffsets), {}).shape(), Shape({7, 32}));
}

TEST(ParallelLayers, TooFewUnitsForThePartsAreRefused) {
  const Group eight(8, 0, 8);
  EXPECT_INVALID(RowLinear(32, 32, eight, {.units = 4}), "[group] 4 units in 8 parts");
  EXPECT_INVALID(ColumnLinear(32, 32, eight, {.units = 5}), "[group] 32 elements in 5 units");
  EXPECT_INVALID(ColumnLinear(32, 32, eight, {.blocks = 3}), "[column_linear] 32 outputs in 3");
  EXPECT_INVALID(Group(2, 0, 3), "[group] 3 parts for 2 ranks");
  EXPECT_INVALID(Group(2, 2, 2), "[group] rank 2 of 2");
  EXPECT_INVALID(Group(2, 0, 2).all_reduce(Tensor::zeros({1}), ""), "[group] a sum over 2 ranks");
}

}  // namespace
}  // namespace heddle
