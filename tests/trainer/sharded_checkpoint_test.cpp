// Checkpoints of models whose tensors lie in shards: any mesh reads what any other has written.
#include <map>

#include "framework/comm/threads.h"
#include "framework/core/random.h"
#include "framework/nn/shard.h"
#include "models/hf/config.h"
#include "tests/models/small_model.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/checkpoint_save.h"
#include "trainer/parameter_hashes.h"

namespace heddle {
namespace {

// `data` x `tensor` ranks; a tensor is cut into `parts`, of which each rank has parts / tensor.
// With ZeRO-1 the ranks of `data` share the optimizer's state.
struct Layout {
  int data, tensor, parts;
  bool zero = false;

  int ranks() const { return data * tensor; }
  std::string name() const { return fmt::format("{}x{}x{}of{}", data, tensor, int{zero}, parts); }
};

std::vector<Layout> layouts() {
  std::vector<Layout> all;
  for (const int data : {1, 2, 4}) {
    for (const int tensor : {1, 2, 4}) {
      for (const bool zero : {false, true}) {
        if (zero && data == 1) continue;  // nobody to share with
        all.push_back({data, tensor, data == 2 ? 4 : tensor, zero});
      }
    }
  }
  return all;
}

// Tensors of odd sizes, cut along either dim, one in three blocks, one not at all.
struct Sharded : Module {
  Sharded(const Layout& layout, int index) {
    const Initializer normal{Initializer::Kind::kNormal, 0.5f, 3};
    const int here = layout.parts / layout.tensor;
    for (int part = index * here; part < (index + 1) * here; ++part) {
      const auto shard = [&](int dim, int64_t size, int blocks = 1) {
        const int64_t begin = size * part / layout.parts;
        return Shard{dim, begin, size * (part + 1) / layout.parts - begin, blocks};
      };
      columns.emplace_back(Shape({15, 5}), normal, shard(0, 5, 3));
      rows.emplace_back(Shape({5, 7}), normal, shard(1, 7));
      biases.emplace_back(Shape({15}), normal, shard(0, 5, 3));
      table.emplace_back(Shape({11, 3}), normal, shard(0, 11));
      blocked.emplace_back(Shape({3, 15}), normal, shard(1, 5, 3));
    }
  }
  void visit(Visitor& v) override {
    for (Parameter& p : table) v("table", p);
    for (size_t i = 0; i < columns.size(); ++i) {
      v("column.weight", columns[i]);
      v("column.bias", biases[i]);
    }
    for (Parameter& p : rows) v("row.weight", p);
    for (Parameter& p : blocked) v("blocked", p);
    v("row.bias", replicated);
  }

  std::vector<Parameter> columns, rows, biases, table, blocked;
  Parameter replicated{Shape({9}), {Initializer::Kind::kNormal, 0.5f}};
};

// What one rank of a mesh has.
struct Replica {
  Replica(Communicator& world, const Layout& layout)
      : tensor(world.split(world.rank() / layout.tensor, world.rank())),
        data(world.split(world.rank() % layout.tensor, world.rank())),
        model(layout, tensor->rank()),
        arena(model, Device::cpu()),
        gradients(arena, *data, true),
        optimizer(arena, gradients, {*data, *tensor}, {.shard_state = layout.zero}) {}

  std::unique_ptr<Communicator> tensor, data;
  Sharded model;
  ParameterArena arena;
  GradientArena gradients;
  Optimizer optimizer;
};

// A value for each element of each tensor.
float value_of(const std::string& name, int64_t index) {
  return static_cast<float>(name_stream(name) % 1000) + static_cast<float>(index) * 0.25f;
}

void for_each_element(const std::vector<HeldPiece>& held,
                      const std::function<void(float& value, float expected)>& visit) {
  for (const HeldPiece& piece : held) {
    for_each_run(*piece.parameter, [&](ShardRun run) {
      for (int64_t i = 0; i < run.count; ++i) {
        const int64_t at = run.local + i - piece.first;
        if (at < 0 || at >= static_cast<int64_t>(piece.values.size())) continue;  // another rank's
        visit(piece.values[static_cast<size_t>(at)], value_of(piece.name, run.whole + i));
      }
    });
  }
}

class ShardedCheckpoint : public testing::Test {
 protected:
  std::string save(const Layout& layout) {
    const std::string root = scratch_.path(layout.name());
    run_threads(layout.ranks(), [&](Communicator& world) {
      Replica replica(world, layout);
      const auto set = [](float& value, float expected) { value = expected; };
      for_each_element(held_weights(replica.arena.parameters()), set);
      for_each_element(held_states(replica.optimizer), set);
      TrainingState state;
      state.step = 7;
      save_checkpoint(files_, world, {.root = root, .step = 7, .loaded = {}},
                      {.config = config_,
                       .text = {},
                       .tokenizer = *tokenizer_,
                       .arena = replica.arena,
                       .optimizer = &replica.optimizer,
                       .state = state,
                       .run_config = "",
                       .hashes = {}});
    });
    return root + "/step-000000007";
  }

  PosixFileSystem files_;
  Scratch scratch_;
  ClassifierConfig config_ = small_config();
  std::shared_ptr<const Tokenizer> tokenizer_ = load_tokenizer(tokenizer_path());
};

TEST_F(ShardedCheckpoint, AnyMeshReadsWhatAnyOtherHasWritten) {
  for (const Layout& from : layouts()) {
    const std::string path = save(from);
    for (const Layout& to : layouts()) {
      run_threads(to.ranks(), [&](Communicator& world) {
        Replica replica(world, to);
        const CheckpointReader reader(files_, path);
        std::vector<std::string> notes;
        reader.fill(replica.arena, 1, notes);
        reader.fill(replica.optimizer);
        const auto expect = [&](float& value, float expected) {
          ASSERT_EQ(value, expected) << from.name() << " to " << to.name();
        };
        for_each_element(held_weights(replica.arena.parameters()), expect);
        for_each_element(held_states(replica.optimizer), expect);
        EXPECT_TRUE(notes.empty());
      });
    }
  }
}

TEST_F(ShardedCheckpoint, RanksOfZeroHoldTheStateOnce) {
  const Layout layout{4, 2, 2, true};
  std::vector<size_t> held(static_cast<size_t>(layout.ranks()));
  run_threads(layout.ranks(), [&](Communicator& world) {
    const Replica replica(world, layout);
    for (const HeldPiece& piece : held_states(replica.optimizer)) {
      held[static_cast<size_t>(world.rank())] += piece.values.size();
    }
  });
  size_t all = 0;
  for (const size_t elements : held) all += elements;
  // Two moments; what is not cut is on both ranks of tensor.
  EXPECT_EQ(all, 2u * (15 * 5 + 5 * 7 + 15 + 11 * 3 + 3 * 15 + 2 * 9));
}

TEST_F(ShardedCheckpoint, HasEveryElementOnceAndSharesTheWriting) {
  const Layout layout{2, 2, 4};
  const Checkpoint checkpoint(files_, save(layout));  // its boxes tile, or it would not open
  int64_t elements = 0;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    if (tensor.dtype != DType::kF32) continue;
    for (const StoredBox& box : tensor.boxes) elements += box.box.volume();
  }
  EXPECT_EQ(elements, 3 * (15 * 5 + 5 * 7 + 15 + 11 * 3 + 3 * 15 + 9));
  std::map<std::string, int64_t> by_writer;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    for (const StoredBox& box : tensor.boxes) {
      const std::string writer = checkpoint.files()[box.file].name.substr(0, 9);  // shard-NNN
      if (tensor.dtype == DType::kF32) by_writer[writer] += box.box.volume();
    }
  }
  ASSERT_EQ(by_writer.size(), 4u);
  for (const auto& [writer, held] : by_writer) EXPECT_LT(held, elements / 4 + 30) << writer;
}

TEST_F(ShardedCheckpoint, RangesOfAStateAreWrittenByTheirRanks) {
  // As if three ranks shared the state of one parameter, cut anywhere.
  const Parameter parameter({4, 15}, {}, {1, 1, 3, 3});
  const int64_t cuts[] = {0, 11, 12, 36};
  const std::string root = scratch_.path("ranges");
  run_threads(3, [&](Communicator& world) {
    std::vector<float> memory(36);
    const auto rank = static_cast<size_t>(world.rank());
    for (size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<float>(i);
    const WritingShare share = share_writing(
        world, {{"state", &parameter, cuts[rank],
                 std::span(memory).subspan(static_cast<size_t>(cuts[rank]),
                                           static_cast<size_t>(cuts[rank + 1] - cuts[rank]))}});
    EXPECT_EQ(share.bytes, 36 * sizeof(float));
    ASSERT_EQ(share.mine.size(), 1u);
    EXPECT_EQ(share.mine[0].values.front(), static_cast<float>(cuts[rank]));
  });
}

TEST_F(ShardedCheckpoint, TheHashIsOfTheWholeTensorsOnAnyMesh) {
  ParameterHashes expected;
  for (const Layout& layout : layouts()) {
    ParameterHashes found;
    run_threads(layout.ranks(), [&](Communicator& world) {
      Replica replica(world, layout);
      initialize(replica.arena, 3);
      const ParameterHashes hashes = hash_parameters(replica.arena, *replica.tensor);
      if (world.rank() == 0) found = hashes;
      EXPECT_EQ(hashes.all.empty(), replica.tensor->rank() != 0);
    });
    if (expected.all.empty()) expected = found;
    EXPECT_EQ(found.all, expected.all) << layout.name();
    EXPECT_EQ(found.each, expected.each) << layout.name();
    EXPECT_EQ(found.each.size(), 6u);
  }
}

TEST_F(ShardedCheckpoint, TheHashChangesWithOneElementOfTheLastRank) {
  std::string before, after;
  run_threads(4, [&](Communicator& world) {
    Replica replica(world, {1, 4, 4});
    initialize(replica.arena, 3);
    const std::string first = hash_parameters(replica.arena, *replica.tensor).all;
    if (world.rank() == 3) replica.model.rows[0].value.data<float>()[2] += 1;
    const std::string second = hash_parameters(replica.arena, *replica.tensor).all;
    if (world.rank() == 0) {
      before = first;
      after = second;
    }
  });
  EXPECT_NE(before, after);
}

}  // namespace
}  // namespace heddle
