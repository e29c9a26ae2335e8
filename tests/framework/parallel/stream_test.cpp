// A split stream against a whole one: the same bits of outputs and gradients, on any ranks, however
// unevenly the rows are split.
#include "framework/parallel/stream.h"

#include <map>
#include <mutex>

#include "framework/autograd/recompute.h"
#include "framework/comm/threads.h"
#include "framework/device/allocator.h"
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

constexpr int64_t kVocabulary = 23, kHeads = 4, kHidden = 20, kIntermediate = 37;

// Of sequences of these lengths, `leaves` are offsets among them.
struct Input {
  std::vector<int64_t> lengths;
  std::vector<int64_t> leaves;

  std::vector<int32_t> segments() const {
    std::vector<int32_t> offsets = {0};
    for (const int64_t length : lengths) {
      offsets.push_back(offsets.back() + static_cast<int32_t>(length));
    }
    return offsets;
  }
  int64_t tokens() const { return segments().back(); }
  LeafOffsets token_leaves() const {
    LeafOffsets offsets;
    for (const int64_t s : leaves) offsets.push_back(segments()[static_cast<size_t>(s)]);
    return offsets;
  }
};

struct Options {
  float dropout = 0.3f;
  bool recomputed = false;
  int ranks_per_node = 0;  // 0: all
};

// A layer with all that may be split, and what comes before and after it.
struct Layer : Module {
  explicit Layer(const Group& group)
      : word(kVocabulary, kHidden, group, {.deviation = 1, .padding_row = 2}),
        position({40, kHidden}, {Initializer::Kind::kNormal, 1}),
        norm(kHidden, 1e-6f),
        qkv(kHidden, 3 * kHidden, group, {.deviation = 0.3f, .blocks = 3, .units = kHeads}),
        output(kHidden, kHidden, group, {.deviation = 0.3f, .units = kHeads}),
        attention_norm(kHidden, 1e-6f),
        up(kHidden, kIntermediate, group, {.deviation = 0.3f, .activation = Activation::kGelu}),
        down(kIntermediate, kHidden, group, {.deviation = 0.3f}),
        group(group) {}

  Tensor operator()(const Tensor& ids, const Tensor& positions, const Segments& segments,
                    const Tensor& keys, const Options& options) const {
    const auto dropout = [&](int32_t layer, const Tensor& row_keys) {
      return Dropout{
          .p = options.dropout, .seed = 5, .step = 3, .layer = layer, .row_keys = row_keys};
    };
    const auto layer = [=, this](const Tensor& x) {
      const Parts context = attention(
          qkv(x), segments, {.heads = kHeads, .scale = 0.3f, .dropout = dropout(1, keys)}, group);
      const Tensor attended = attention_norm(output(context), x, dropout(2, own_rows(keys)));
      return add_rows(down(up(attended)), attended);
    };
    const StreamScope stream(group, ids.dim(0));
    Tensor x = split_rows(word.sum(ids, position.value, positions, {}, {}));
    x = heddle::dropout(norm(x), dropout(3, own_rows(keys)));
    return whole_rows(options.recomputed ? recompute(layer, x) : layer(x));
  }
  // Without a norm after it, so that the sums of biases are tested by another gradient.
  static Tensor add_rows(const Tensor& a, const Tensor& b) {
    const Tensor y = a.detach().clone();
    for (int64_t i = 0; i < y.numel(); ++i) y.data<float>()[i] += b.data<float>()[i];
    return record(y, {a, b}, [](const Tensor& dy) { return Gradients{dy, dy}; });
  }
  void visit(Visitor& v) override {
    v("word", word);
    v("position", position);
    v("norm", norm);
    v("qkv", qkv);
    v("output", output);
    v("attention_norm", attention_norm);
    v("up", up);
    v("down", down);
  }

  VocabEmbedding word;
  Parameter position;
  StreamNorm norm;
  ColumnLinear qkv;
  RowLinear output;
  StreamNorm attention_norm;
  ColumnLinear up;
  RowLinear down;
  Group group;
};

using Results = std::map<std::string, Tensor>;

// The output and the whole gradients, put together from all ranks; those that every rank has whole
// must be the same on all.
Results run_layer(const Input& input, int ranks, int parts, Stream stream, Options options = {}) {
  Results results;
  std::mutex mutex;
  const auto keep = [&](const std::string& name, const Tensor& tensor) {
    if (results[name].defined())
      EXPECT_TRUE(same_bits(tensor, results[name])) << name;
    else
      results[name] = tensor.clone();
  };
  const auto run = [&](Communicator& world) {
    const Mesh mesh(world, {.data = 1, .tensor = ranks});
    Layer layer(mesh.group(parts, stream));
    ParameterArena arena(layer, Device::cpu());
    initialize(arena, 7);
    for (const auto& entry : arena.entries()) {
      entry.parameter->value = variable(entry.parameter->value);
    }
    std::vector<int32_t> ids, positions;
    for (const int64_t length : input.lengths) {
      for (int32_t p = 0; p < length; ++p) {
        positions.push_back(p);
        ids.push_back(static_cast<int32_t>((ids.size() * 7 + ids.size() / 5) % kVocabulary));
      }
    }
    const LeafScope leaves(std::vector<LeafOffsets>{input.token_leaves()});
    const Tensor y = layer(tensor_of<int32_t>(ids), tensor_of<int32_t>(positions),
                           Segments::from(input.segments()), row_keys(input.lengths), options);
    backward(y, random_tensor(y.shape(), "dy"));
    const std::scoped_lock lock(mutex);
    keep("output", y.detach());
    for (const auto& entry : arena.entries()) {
      const Parameter& parameter = *entry.parameter;
      const Tensor gradient = dense_gradient(parameter.value);
      if (parameter.shape() == parameter.whole_shape()) {
        keep(entry.name, gradient);
        continue;
      }
      Tensor& whole = results[entry.name];
      if (!whole.defined()) whole = Tensor::zeros(parameter.whole_shape());
      for_each_run(parameter, [&](ShardRun run) {
        std::copy_n(gradient.data<float>() + run.local, run.count, whole.data<float>() + run.whole);
      });
    }
  };
  run_threads(ranks, run, {.ranks_per_node = options.ranks_per_node});
  return results;
}

void expect_equal(const Results& a, const Results& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    EXPECT_TRUE(same_bits(tensor, b.at(name))) << what << ": " << name;
  }
}

const std::vector<Input> kInputs = {
    {.lengths = {38, 40, 7, 21, 40, 3}, .leaves = {0, 1, 2, 2, 6}},  // an empty leaf
    {.lengths = {40, 40, 40, 40}, .leaves = {0, 4}},
    {.lengths = {5, 1, 2}, .leaves = {0, 1, 3}},  // leaves smaller than a run
    {.lengths = {3}, .leaves = {0, 1}},           // fewer rows than ranks, all on one
    {.lengths = {1, 1, 1}, .leaves = {0, 1, 1, 2, 3}},
};

TEST(Stream, SplitEqualsWholeOnAnyRanks) {
  for (size_t i = 0; i < kInputs.size(); ++i) {
    const Results one = run_layer(kInputs[i], 1, 4, Stream::kWhole);
    for (const int ranks : {1, 2, 4}) {
      expect_equal(one, run_layer(kInputs[i], ranks, 4, Stream::kSplit),
                   fmt::format("input {} on {} ranks", i, ranks));
    }
  }
}

TEST(Stream, SplitEqualsWholeWhereAPartIsComputedAgain) {
  const Results one = run_layer(kInputs[0], 1, 4, Stream::kWhole);
  for (const int ranks : {2, 4}) {
    expect_equal(one, run_layer(kInputs[0], ranks, 4, Stream::kSplit, {.recomputed = true}),
                 fmt::format("{} ranks", ranks));
  }
}

TEST(Stream, SplitEqualsWholeAcrossNodes) {
  const Results one = run_layer(kInputs[0], 1, 4, Stream::kWhole);
  for (const int per_node : {1, 2}) {
    expect_equal(one, run_layer(kInputs[0], 4, 4, Stream::kSplit, {.ranks_per_node = per_node}),
                 fmt::format("{} ranks a node", per_node));
  }
}

TEST(Stream, SplitIsCloseToAModelWithoutParts) {
  const Results plain = run_layer(kInputs[0], 1, 1, Stream::kWhole);
  const Results split = run_layer(kInputs[0], 3, 3, Stream::kSplit);
  for (const auto& [name, tensor] : plain) {
    const std::vector<double> expected(tensor.span<float>().begin(), tensor.span<float>().end());
    SCOPED_TRACE(name);
    expect_near(split.at(name), expected, 5e-3);
  }
}

TEST(Stream, KeepsItsShareOfTheRowsForTheBackwardPass) {
  const MemoryPlan memory;
  const auto kept = [&](Stream stream) {
    Layer layer(Group(2, 1, 2, nullptr, stream));
    const ParameterArena arena(layer, Device::meta());
    for (const auto& entry : arena.entries()) {
      entry.parameter->value = variable(entry.parameter->value);
    }
    const auto empty = [](DType type) { return Tensor::empty({256}, type, Device::meta()); };
    const int64_t before = memory.statistics().in_use;
    const std::vector<int32_t> offsets = {0, 256};
    const StreamScope scope(layer.group, 256);
    Tensor x = split_rows(layer.word(empty(DType::kI32)));
    for (int i = 0; i < 3; ++i) {
      x = layer.attention_norm(layer.down(layer.up(x)), x, {});
    }
    return memory.statistics().in_use - before;
  };
  // Each of 3 times: z and the next x, [256, 20]; statistics, [256, 2]. In any case the ids, and
  // what the activation gets and gives, [256, 19].
  constexpr int64_t kColumn = 256 * 4;
  const int64_t in_any_case = kColumn + 3 * 2 * 19 * kColumn;
  const int64_t stream = (1 + 3 * 2) * 20 * kColumn + 3 * 2 * kColumn;
  EXPECT_EQ(kept(Stream::kWhole), in_any_case + stream);
  EXPECT_EQ(kept(Stream::kSplit), in_any_case + stream / 2);
}

TEST(Stream, WithoutASplitNothingIsCopied) {
  const Tensor x = random_tensor({5, 3}, "x");
  for (const Group& group : {Group(), Group(1, 0, 4, nullptr, Stream::kSplit)}) {
    const StreamScope scope(group, 5);
    EXPECT_EQ(split_rows(x).raw(), x.raw());
    EXPECT_EQ(whole_rows(x).raw(), x.raw());
    EXPECT_EQ(own_rows(x).raw(), x.raw());
  }
}

TEST(Stream, OtherNumbersOfRowsAreRefused) {
  const Group group(2, 1, 2, nullptr, Stream::kSplit);
  const StreamScope scope(group, 80);
  EXPECT_INVALID(split_rows(Tensor::zeros({81, 3})), "[stream] 81 rows; 80 are shared");
  EXPECT_INVALID(own_rows(Tensor::zeros({48})), "[stream] 48 rows; 80 are shared");
  EXPECT_INVALID(whole_rows(Tensor::zeros({80, 3})), "[stream] 80 rows of a share of 48");
  EXPECT_INVALID(whole_rows(Tensor::zeros({48, 3})), "[group] a sum over 2 ranks");
}

}  // namespace
}  // namespace heddle
