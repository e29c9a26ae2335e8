#include "framework/optim/optimizer.h"

#include <cmath>

#include "framework/comm/single.h"
#include "framework/comm/threads.h"
#include "framework/parallel/mesh.h"
#include "framework/parallel/vocab_embedding.h"
#include "tests/support/tensors.h"

namespace heddle {
namespace {

// A table looked up by ids, and a plain vector; its gradient is made by hand.
struct Toy : Module {
  explicit Toy(bool sparse = true) : table(6, 4, {}), shift({3}) {
    table.parts[0].row_sparse = sparse;
  }
  void visit(Visitor& v) override {
    v("table", table);
    v("shift", shift);
  }
  VocabEmbedding table;
  Parameter shift;
};

// A toy, its gradients and an optimizer on one rank.
struct Bench {
  explicit Bench(OptimizerOptions options, Communicator& group, bool sparse = true)
      : model(sparse), arena(model, Device::cpu()) {
    initialize(arena, 5);
    gradients.emplace(arena, group, true);
    optimizer.emplace(arena, *gradients, group, std::move(options));
  }

  // Rows 1 and 4 of the table get `g` times 1, 2, …; the vector gets g.
  void set_gradient(float g) {
    gradients->begin(1);
    gradients->begin_pass();
    for (const GradientArena::Entry& entry : gradients->entries()) {
      const Tensor& value = entry.parameter->parameter->value;
      Variable& state = variable_state(value);
      if (entry.parameter->name == "shift") {
        state.slot.fill(g);
        state.gradient = Gradient(state.slot);
        continue;
      }
      std::vector<float> rows;
      for (int i = 1; i <= 8; ++i) rows.push_back(g * static_cast<float>(i));
      const Tensor values = Tensor::from<float>(rows, {2, 4});
      if (entry.sparse) {
        state.gradient = Gradient(tensor_of(std::vector<int32_t>{1, 4}), values);
      } else {
        state.slot.fill(0);
        state.slot.rows(1, 2).copy_from(values.rows(0, 1));
        state.slot.rows(4, 5).copy_from(values.rows(1, 2));
        state.gradient = Gradient(state.slot);
      }
    }
    gradients->end_pass();
    gradients->all_reduce();
  }

  Toy model;
  ParameterArena arena;
  std::optional<GradientArena> gradients;
  std::optional<Optimizer> optimizer;
};

TEST(Optimizer, NormIsThatOfTheMeanGradient) {
  const auto alone = make_single();
  Bench bench({}, *alone);
  bench.set_gradient(2);
  // 4 (1 + … + 64) + 3 · 4 = 828
  EXPECT_NEAR(bench.optimizer->gradient_norm(1), std::sqrt(828.0), 1e-12);
  EXPECT_NEAR(bench.optimizer->gradient_norm(4), std::sqrt(828.0) / 4, 1e-12);
}

TEST(Optimizer, NormIsTheSameOnEveryRank) {
  const auto norm = [](Communicator& world) {
    Bench bench({}, world);
    bench.set_gradient(0.1f / static_cast<float>(world.size()));  // exact: a power of two
    return bench.optimizer->gradient_norm(3);
  };
  const auto alone = make_single();
  const double expected = norm(*alone);
  run_threads(4, [&](Communicator& world) { EXPECT_EQ(norm(world), expected); });
}

TEST(Optimizer, SparseRowsMoveAsDenseOnesDo) {
  for (const bool adam : {true, false}) {
    const OptimizerOptions options = {
        .kind = adam ? OptimizerOptions::Kind::kAdamW : OptimizerOptions::Kind::kSgd,
        .momentum = adam ? 0 : 0.9,
        .group = [](const std::string&, const Parameter&) {
          return OptimizerOptions::Group{.rate = 1, .weight_decay = 0.1};
        }};
    const auto alone = make_single();
    Bench sparse(options, *alone, true), dense(options, *alone, false);
    for (int step = 0; step < 4; ++step) {
      for (Bench* bench : {&sparse, &dense}) {
        bench->set_gradient(step == 2 ? 0.0f : 0.3f);
        bench->optimizer->step(0.01, 1, 2);
      }
    }
    EXPECT_TRUE(same_bits(sparse.arena.values(), dense.arena.values())) << adam;
    EXPECT_EQ(sparse.optimizer->steps(), 4);
  }
}

TEST(Optimizer, RowsGoOnFromLoadedStates) {
  const auto alone = make_single();
  Bench whole({}, *alone), first({}, *alone), second({}, *alone);
  const auto step = [](Bench& bench, float gradient) {
    bench.set_gradient(gradient);
    bench.optimizer->step(0.01, 1, 2);
  };
  for (Bench* bench : {&whole, &first}) step(*bench, 0.3f);
  second.arena.values().copy_from(first.arena.values());
  for (size_t i = 0; i < 2; ++i) {
    second.optimizer->states()[i].values.copy_from(first.optimizer->states()[i].values);
  }
  second.optimizer->set_steps(1);
  for (Bench* bench : {&whole, &second}) {
    bench->gradients->begin(1);
    bench->gradients->begin_pass();
    bench->gradients->end_pass();  // no row has a gradient
    bench->gradients->all_reduce();
    bench->optimizer->step(0.01, 1, 2);
  }
  EXPECT_TRUE(same_bits(second.arena.values(), whole.arena.values()));
  EXPECT_FALSE(same_bits(second.arena.values(), first.arena.values()));
}

TEST(Optimizer, ClippingScalesTheGradientDown) {
  const auto alone = make_single();
  const OptimizerOptions sgd = {.kind = OptimizerOptions::Kind::kSgd, .group = {}};
  OptimizerOptions clipped = sgd;
  clipped.clip = 0.5;
  Bench plain(sgd, *alone), small(clipped, *alone), large(clipped, *alone);
  const float before = plain.model.shift.value.data<float>()[0];
  plain.set_gradient(1);
  plain.optimizer->step(0.1, 1, 1);
  EXPECT_NEAR(plain.model.shift.value.data<float>()[0], before - 0.1f, 1e-7);
  small.set_gradient(1);
  small.optimizer->step(0.1, 0.4, 1);  // below the limit
  EXPECT_TRUE(same_bits(small.arena.values(), plain.arena.values()));
  large.set_gradient(1);
  large.optimizer->step(0.1, 2, 1);  // a quarter
  EXPECT_NEAR(large.model.shift.value.data<float>()[0], before - 0.025f, 1e-6);
}

TEST(Optimizer, GroupsHaveRatesAndDecayOfTheirOwn) {
  const auto alone = make_single();
  Bench bench({.kind = OptimizerOptions::Kind::kSgd,
               .group =
                   [](const std::string& name, const Parameter& parameter) {
                     EXPECT_EQ(name == "table.weight", parameter.is_matrix());
                     return name == "shift" ? OptimizerOptions::Group{.rate = 0}
                                            : OptimizerOptions::Group{.rate = 2};
                   }},
              *alone);
  const float shift = bench.model.shift.value.data<float>()[0];
  const float row = bench.model.table.parts[0].value.data<float>()[4];
  bench.set_gradient(1);
  bench.optimizer->step(0.1, 1, 1);
  EXPECT_EQ(bench.model.shift.value.data<float>()[0], shift);
  EXPECT_NEAR(bench.model.table.parts[0].value.data<float>()[4], row - 0.2f, 1e-6);
}

TEST(Optimizer, StateIsWhatTheKindNeeds) {
  const auto alone = make_single();
  const auto names = [&](const OptimizerOptions& options) {
    const Bench bench(options, *alone);
    std::vector<std::string> all;
    for (const Optimizer::State& state : bench.optimizer->states()) all.push_back(state.name);
    return all;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names({}), (Names{"adam_m", "adam_v"}));
  EXPECT_EQ(names({.kind = OptimizerOptions::Kind::kSgd, .group = {}}), Names{});
  EXPECT_EQ(names({.kind = OptimizerOptions::Kind::kSgd, .momentum = 0.9, .group = {}}),
            Names{"momentum"});
}

// The values of all parameters after three steps.
std::vector<float> trained(OptimizerOptions options, Communicator& world, bool sparse) {
  Bench bench(std::move(options), world, sparse);
  for (int step = 0; step < 3; ++step) {
    bench.set_gradient(0.5f / static_cast<float>(world.size()));  // exact: a power of two
    bench.optimizer->step(0.1, bench.optimizer->gradient_norm(2), 2);
  }
  const auto values = bench.arena.values().span<const float>();
  return {values.begin(), values.end()};
}

TEST(Optimizer, StateThatRanksShareHasTheBitsOfTheWhole) {
  for (const auto kind : {OptimizerOptions::Kind::kAdamW, OptimizerOptions::Kind::kSgd}) {
    for (const bool sparse : {true, false}) {
      OptimizerOptions options{.kind = kind, .momentum = 0.9, .clip = 1};
      const auto alone = make_single();
      const std::vector<float> expected = trained(options, *alone, sparse);
      options.shard_state = true;
      EXPECT_EQ(trained(options, *alone, sparse), expected);
      for (const int ranks : {2, 4}) {
        run_threads(ranks, [&](Communicator& world) {
          EXPECT_EQ(trained(options, world, sparse), expected) << ranks << " ranks";
        });
      }
    }
  }
}

TEST(Optimizer, SharedStateIsHeldOnce) {
  run_threads(4, [](Communicator& world) {
    const Bench bench({.shard_state = true}, world);
    std::vector<double> held = {0, 0};
    for (const Optimizer::Entry& entry : bench.optimizer->entries()) {
      held[entry.gradient.sparse ? 0 : 1] += static_cast<double>(entry.last - entry.first);
    }
    world.all_reduce(std::span(held), Reduction::kSum);
    EXPECT_EQ(held, (std::vector<double>{24, 3}));
    EXPECT_LE(bench.optimizer->states()[0].values.numel(), 16);
  });
}

// A table that a group shares, and a vector that each rank holds whole.
struct ShardedToy : Module {
  explicit ShardedToy(const Group& group) : table(6, 4, group), shift({3}) {}
  void visit(Visitor& v) override {
    v("table", table);
    v("shift", shift);
  }
  VocabEmbedding table;
  Parameter shift;
};

double norm_of_sharded_toy(Communicator& world, int parts) {
  const Mesh mesh(world, {.data = 1, .tensor = world.size()});
  ShardedToy model(mesh.group(parts));
  const ParameterArena arena(model, Device::cpu());
  GradientArena gradients(arena, mesh.data(), true);
  Optimizer optimizer(arena, gradients, {mesh.data(), mesh.tensor()}, {});
  gradients.begin(1);
  gradients.begin_pass();
  for (const GradientArena::Entry& entry : gradients.entries()) {
    Variable& state = variable_state(entry.parameter->parameter->value);
    if (entry.sparse) {
      // Every row that is here gets its number in the whole table, a little off the grid.
      const Shard& shard = entry.parameter->parameter->shard();
      std::vector<int32_t> rows;
      std::vector<float> values;
      for (int64_t r = 0; r < shard.extent; ++r) {
        rows.push_back(static_cast<int32_t>(r));
        for (int c = 0; c < 4; ++c) values.push_back(static_cast<float>(shard.begin + r) + 0.1f);
      }
      state.gradient = Gradient(tensor_of(rows), Tensor::from<float>(values, {shard.extent, 4}));
    } else {
      state.slot.fill(2);
      state.gradient = Gradient(state.slot);
    }
  }
  gradients.end_pass();
  gradients.all_reduce();
  return optimizer.gradient_norm(1);
}

TEST(Optimizer, NormOfShardedTensorsIsThatOfTheWholeOnAnyNumberOfRanks) {
  const auto alone = make_single();
  double squares = 12;  // of the vector: it counts once
  for (int r = 0; r < 6; ++r) squares += 4 * (r + 0.1) * (r + 0.1);
  EXPECT_NEAR(norm_of_sharded_toy(*alone, 1), std::sqrt(squares), 1e-6);
  const double expected = norm_of_sharded_toy(*alone, 4);
  EXPECT_NEAR(expected, std::sqrt(squares), 1e-6);
  for (const int ranks : {2, 4}) {
    run_threads(ranks, [&](Communicator& world) {
      EXPECT_EQ(norm_of_sharded_toy(world, 4), expected) << ranks << " ranks";
    });
  }
}

}  // namespace
}  // namespace heddle
