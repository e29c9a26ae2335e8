// Boxes and runs of shards, against the definition: one element at a time.
#include "framework/nn/shard.h"

#include <map>

#include "framework/nn/arena.h"
#include "tests/support/expect_throw.h"
#include "tests/support/tensors.h"

namespace heddle {
namespace {

struct Case {
  Shape whole;
  Shard shard;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {{7}, {0, 0, 7}},          {{7}, {0, 2, 3}},          {{9}, {0, 1, 2, 3}},
      {{7, 5}, {0, 0, 7}},       {{7, 5}, {0, 3, 2}},       {{7, 5}, {1, 1, 3}},
      {{12, 5}, {0, 1, 2, 3}},   {{5, 12}, {1, 1, 2, 3}},   {{6, 4, 5}, {1, 1, 2}},
      {{3, 6, 5}, {1, 0, 1, 3}}, {{3, 2, 6}, {2, 1, 1, 2}}, {{4, 3}, {0, 2, 0}},
  };
  return all;
}

// For each element of the shard's memory its index in the whole tensor.
std::vector<int64_t> by_definition(const Parameter& parameter) {
  const Shape& whole = parameter.whole_shape();
  const Shard& shard = parameter.shard();
  const int64_t block = whole[shard.dim] / shard.blocks;
  std::vector<int64_t> result;
  const Shape local = parameter.shape();
  for (int64_t i = 0; i < local.numel(); ++i) {
    std::vector<int64_t> at(static_cast<size_t>(local.ndim()));
    int64_t rest = i;
    for (int axis = local.ndim(); axis-- > 0; rest /= local[axis]) {
      at[static_cast<size_t>(axis)] = rest % local[axis];
    }
    int64_t& along = at[static_cast<size_t>(shard.dim)];
    along = along / shard.extent * block + shard.begin + along % shard.extent;
    int64_t index = 0;
    for (int axis = 0; axis < local.ndim(); ++axis) {
      index = index * whole[axis] + at[static_cast<size_t>(axis)];
    }
    result.push_back(index);
  }
  return result;
}

// The same by the boxes of [first, last); -1 for what no box has.
std::vector<int64_t> by_boxes(const Parameter& parameter, int64_t first, int64_t last) {
  const Shape& whole = parameter.whole_shape();
  std::vector<int64_t> result(static_cast<size_t>(parameter.shape().numel()), -1);
  for (const ShardBox& box : shard_boxes(parameter, first, last)) {
    const Shape extent(box.extent);
    EXPECT_EQ(extent.numel(), box.numel);
    for (int64_t i = 0; i < box.numel; ++i) {
      int64_t rest = i, index = 0, stride = 1;
      for (int axis = extent.ndim(); axis-- > 0; rest /= extent[axis]) {
        index += (box.begin[static_cast<size_t>(axis)] + rest % extent[axis]) * stride;
        stride *= whole[axis];
      }
      int64_t& element = result[static_cast<size_t>(box.offset + i)];
      EXPECT_EQ(element, -1) << "twice";
      element = index;
    }
  }
  return result;
}

TEST(ShardBoxes, HaveEveryElementOnceWhereItBelongs) {
  for (const Case& c : cases()) {
    const Parameter parameter(c.whole, {}, c.shard);
    const std::vector<int64_t> expected = by_definition(parameter);
    const auto numel = static_cast<int64_t>(expected.size());
    for (int64_t first = 0; first <= numel; ++first) {
      for (int64_t last = first; last <= numel; ++last) {
        std::vector<int64_t> part(expected.size(), -1);
        std::copy(expected.begin() + first, expected.begin() + last, part.begin() + first);
        ASSERT_EQ(by_boxes(parameter, first, last), part)
            << fmt::format("{} of {}: {} {} {} {}: [{}, {})", c.whole, numel, c.shard.dim,
                           c.shard.begin, c.shard.extent, c.shard.blocks, first, last);
      }
    }
  }
}

TEST(ShardBoxes, OfAWholeShardAreFew) {
  EXPECT_EQ(shard_boxes(Parameter({7, 5}, {}, {0, 3, 2})).size(), 1u);
  EXPECT_EQ(shard_boxes(Parameter({7, 5}, {}, {1, 1, 3})).size(), 1u);
  EXPECT_EQ(shard_boxes(Parameter({12, 5}, {}, {0, 1, 2, 3})).size(), 3u);
  EXPECT_EQ(shard_boxes(Parameter({4, 3}, {}, {0, 2, 0})).size(), 0u);
  EXPECT_LE(shard_boxes(Parameter({6, 4, 5}), 1, 119).size(), 5u);
  EXPECT_INVALID(shard_boxes(Parameter({4}), 1, 5),
                 "[shard_boxes] elements [1, 5) of a shard of 4");
}

TEST(ShardRuns, AreTheSameInAscendingOrder) {
  for (const Case& c : cases()) {
    const Parameter parameter(c.whole, {}, c.shard);
    std::vector<int64_t> found;
    for_each_run(parameter, [&](ShardRun run) {
      EXPECT_EQ(run.local, static_cast<int64_t>(found.size()));
      for (int64_t i = 0; i < run.count; ++i) found.push_back(run.whole + i);
    });
    EXPECT_EQ(found, by_definition(parameter));
  }
}

TEST(Parameter, RefusesAShardThatIsNone) {
  EXPECT_INVALID(Parameter({4, 3}, {}, {0, 3, 2}), "no shard of [4, 3]");
  EXPECT_INVALID(Parameter({4, 3}, {}, {2, 0, 1}), "no shard of [4, 3]");
  EXPECT_INVALID(Parameter({4, 3}, {}, {0, 0, 1, 3}),
                 "[parameter] dim 0, 1 from 0 of each of 3 blocks");
}

TEST(Initialize, AShardStartsAsItsPartOfTheWhole) {
  for (const Case& c : cases()) {
    const Initializer how{Initializer::Kind::kNormal, 0.5f, 2};
    Parameter whole(c.whole, how);
    Parameter part(c.whole, how, c.shard);
    whole.value = Tensor::empty(whole.shape());
    part.value = Tensor::empty(part.shape());
    initialize("name", whole, 7);
    initialize("name", part, 7);
    const std::vector<int64_t> index = by_definition(part);
    const std::span<const float> values = part.value.span<const float>();
    for (size_t i = 0; i < index.size(); ++i) {
      ASSERT_EQ(values[i], whole.value.span<const float>()[static_cast<size_t>(index[i])]) << i;
    }
  }
}

TEST(CountParameters, CountsATensorOnceHoweverManyShardsAreHere) {
  struct Parts : Module {
    Parameter first{{4, 3}, {}, {0, 0, 2}}, second{{4, 3}, {}, {0, 2, 2}}, bias{{4}};
    void visit(Visitor& v) override {
      v("weight", first);
      v("weight", second);
      v("bias", bias);
    }
  } parts;
  EXPECT_EQ(count_parameters(parts), 16);
}

}  // namespace
}  // namespace heddle
