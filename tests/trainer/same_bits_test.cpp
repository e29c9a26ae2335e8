// A run has the same bits on any number of ranks and threads, and after any number of stops.
#include <filesystem>

#include "tests/trainer/tiny_run.h"
#include "trainer/run_differences.h"
#include "trainer/sequence_logits.h"
#include "trainer/training_setup.h"

namespace heddle {
namespace {

constexpr int64_t kSteps = 12;

// One run on one rank, and the same on 2, 4 and 8.
void expect_same_on_all(const std::vector<std::string>& assignments) {
  const Scratch scratch;
  train_on(1, tiny_config(scratch, "run1", assignments));
  for (const int ranks : {2, 4, 8}) {
    const std::string output = fmt::format("run{}", ranks);
    train_on(ranks, tiny_config(scratch, output, assignments));
    expect_equal_runs(scratch.path("run1"), scratch.path(output), kSteps);
  }
}

TEST(SameBits, OddBatchShortLastBatchAndAccumulation) {
  // 45 rows in batches of 7: the last of an epoch has 3. Leaves of up to 16 tokens in passes of
  // up to 16: every rank that has several leaves takes them in several passes.
  expect_same_on_all({"batch.micro_tokens=16"});
}

// Heads of 32, and widths that tiles divide: what AMX has kernels for.
TEST(SameBits, InBF16) {
  expect_same_on_all({"precision=bf16", "batch.micro_tokens=16", "model.architecture.heads=2",
                      "model.architecture.hidden_size=64"});
}

TEST(SameBits, LargePassesEqualSmallOnes) {
  const Scratch scratch;
  train_on(1, tiny_config(scratch, "small", {"batch.micro_tokens=16"}));
  // micro_tokens may cut leaves, which is arithmetic; these values cut none.
  train_on(1, tiny_config(scratch, "large", {"batch.micro_tokens=8192"}));
  expect_equal_runs(scratch.path("small"), scratch.path("large"), kSteps);
}

TEST(SameBits, DataTimesTensorRanksWithStateWholeOrShared) {
  const Scratch scratch;
  const auto on = [&](const std::string& output, int tensor, int zero) {
    return tiny_config(
        scratch, output,
        {"numerics.tensor=4", "model.architecture.heads=4",
         fmt::format("parallel.tensor={}", tensor), fmt::format("parallel.zero={}", zero),
         "verify.steps=1", "replica_check_every=5"});
  };
  train_on(1, on("one", 1, 0));
  struct Mesh {
    int ranks, tensor, zero;
  };
  for (const auto& [ranks, tensor, zero] :
       {Mesh{2, 2, 0}, Mesh{2, 1, 1}, Mesh{4, 2, 1}, Mesh{4, 4, 0}}) {
    const std::string output = fmt::format("run{}x{}x{}", ranks / tensor, tensor, zero);
    train_on(ranks, on(output, tensor, zero));
    expect_equal_runs(scratch.path("one"), scratch.path(output), kSteps);
  }
}

// One rank with 4 slices, and meshes of tensor groups that split the stream between blocks.
void expect_same_with_a_split_stream(const std::vector<std::string>& assignments) {
  const Scratch scratch;
  const auto on = [&](const std::string& output, int tensor, bool sequence) {
    std::vector<std::string> all = {"numerics.tensor=4",
                                    "model.architecture.heads=4",
                                    fmt::format("parallel.tensor={}", tensor),
                                    fmt::format("parallel.sequence={}", sequence),
                                    "verify.steps=1",
                                    "replica_check_every=5"};
    all.insert(all.end(), assignments.begin(), assignments.end());
    return tiny_config(scratch, output, all);
  };
  train_on(1, on("one", 1, false));
  struct Mesh {
    int ranks, tensor;
  };
  for (const auto& [ranks, tensor] : {Mesh{1, 1}, Mesh{2, 2}, Mesh{4, 2}, Mesh{4, 4}}) {
    const std::string output = fmt::format("run{}x{}", ranks / tensor, tensor);
    train_on(ranks, on(output, tensor, true));
    expect_equal_runs(scratch.path("one"), scratch.path(output), kSteps);
  }
}

TEST(SameBits, WithASplitStream) {
  expect_same_with_a_split_stream({});
}

TEST(SameBits, WithASplitStreamAndStateShared) {
  expect_same_with_a_split_stream({"parallel.zero=1", "batch.micro_tokens=16"});
}

TEST(SameBits, WithASplitStreamComputedAgain) {
  expect_same_with_a_split_stream({"memory.recompute=attention"});
  expect_same_with_a_split_stream({"memory.recompute=layer", "parallel.zero=1"});
}

TEST(SameBits, LogitsOfASplitStream) {
  const Scratch scratch;
  const auto logits = [&](int ranks, Stream stream) {
    std::vector<float> of_root;
    const Config config = tiny_config(scratch, "run", {"model.architecture.heads=4"});
    run_threads(ranks, [&](Communicator& world) {
      PosixFileSystem files;
      ThreadPool pool(1);
      const Device device = Device::cpu(&pool);
      const Mesh mesh(world, {.data = 1, .tensor = ranks});
      const TrainingModel model = make_training_model(files, config, device, mesh.group(4, stream));
      const TrainingData data =
          open_training_data(files, config, model, scratch.path("cache"), pool, world);
      const SequenceSource source = {
          .count = data.train.size(),
          .length = [&](int64_t i) { return data.train.length(i); },
          .add_to = [&](PackedSequences& packed, int64_t i) { data.train.add_to(packed, i); }};
      const auto all = sequence_logits(*model.model, device, source, mesh);
      if (mesh.is_root()) of_root = all;
    });
    return of_root;
  };
  const std::vector<float> one = logits(1, Stream::kWhole);
  EXPECT_EQ(one.size(), 45u * 2);
  for (const int ranks : {2, 4}) EXPECT_EQ(logits(ranks, Stream::kSplit), one);
}

TEST(SameBits, WithASplitStreamOfAProjectedEmbedding) {
  expect_same_with_a_split_stream(
      {"model.architecture.family=electra", "model.architecture.embedding_size=12"});
}

TEST(SameBits, WithASplitStreamOfWhichAPartIsTrained) {
  expect_same_with_a_split_stream({"model.train={layers: 1}"});
  expect_same_with_a_split_stream({"model.train=head"});
}

TEST(SameBits, TheHeadAlone) {
  expect_same_on_all({"model.train=head"});
}

TEST(SameBits, TheLastLayer) {
  expect_same_on_all({"model.train={layers: 1}"});
}

TEST(SameBits, WithActivationsComputedAgain) {
  const Scratch scratch;
  const std::vector<std::string> plain = {"batch.micro_tokens=16"};
  train_on(1, tiny_config(scratch, "none", plain));
  for (const char* what : {"attention", "layer"}) {
    const std::vector<std::string> again = {plain[0], fmt::format("memory.recompute={}", what)};
    for (const int ranks : {1, 2}) {
      const std::string output = fmt::format("{}{}", what, ranks);
      train_on(ranks, tiny_config(scratch, output, again));
      expect_equal_runs(scratch.path("none"), scratch.path(output), kSteps);
    }
  }
}

// One rank, and data 2 x tensor 2 ranks with shared state under each of these settings: the same
// losses, weights and states.
void expect_same_on_a_mesh(const std::vector<std::vector<std::string>>& settings) {
  const Scratch scratch;
  std::vector<std::string> assignments = {"numerics.tensor=2"};
  train_on(1, tiny_config(scratch, "one", assignments));
  assignments.insert(assignments.end(), {"parallel.tensor=2", "parallel.zero=1"});
  for (size_t i = 0; i < settings.size(); ++i) {
    std::vector<std::string> all = assignments;
    all.insert(all.end(), settings[i].begin(), settings[i].end());
    const std::string output = fmt::format("mesh{}", i);
    train_on(4, tiny_config(scratch, output, all));
    expect_equal_runs(scratch.path("one"), scratch.path(output), kSteps);
    PosixFileSystem files;
    EXPECT_FALSE(compare_checkpoints(files, scratch.path("one/checkpoints/last"),
                                     scratch.path(output + "/checkpoints/last"))
                     .first)
        << output;
  }
}

TEST(SameBits, ActivationsComputedAgainOnAMesh) {
  expect_same_on_a_mesh({{"memory.recompute=attention"}, {"memory.recompute=layer"}});
}

TEST(SameBits, SavedWhileTrainingGoesOnOnAMesh) {
  expect_same_on_a_mesh({{"checkpoint.async=true", "checkpoint.every=1"}, {}});
  // And gone on with from such a save.
  const Scratch scratch;
  const std::vector<std::string> assignments = {"numerics.tensor=2", "parallel.tensor=2",
                                                "parallel.zero=1", "checkpoint.async=true",
                                                "checkpoint.every=1"};
  train_on(1, tiny_config(scratch, "whole", {"numerics.tensor=2"}));
  const Config config = tiny_config(scratch, "parts", assignments);
  EXPECT_EQ(train_on(4, config, {.stop_after = 5}).outcome, TrainOutcome::kStopped);
  EXPECT_EQ(train_on(4, config).outcome, TrainOutcome::kFinished);
  expect_equal_runs(scratch.path("whole"), scratch.path("parts"), kSteps);
}

TEST(SameBits, BatchesOfTokensGroupedByLength) {
  expect_same_on_all({"batch={tokens: 60}", "training.group_by_length=true"});
}

TEST(SameBits, OnOneAndTwoThreads) {
  const Scratch scratch;
  train_on(1, tiny_config(scratch, "one"));
  train_on(2, tiny_config(scratch, "two"), {.threads = 2});
  expect_equal_runs(scratch.path("one"), scratch.path("two"), kSteps);
}

TEST(SameBits, StoppedOnFourRanksResumedOnOneAndTwo) {
  const Scratch scratch;
  train_on(1, tiny_config(scratch, "whole"));
  const Config config = tiny_config(scratch, "parts");
  const Trained first = train_on(4, config, {.stop_after = 6});
  EXPECT_EQ(first.outcome, TrainOutcome::kStopped);
  EXPECT_TRUE(has(first.console, "stopped on a signal after step 6; start again to go on"));
  EXPECT_EQ(train_on(1, config, {.stop_after = 3}).outcome, TrainOutcome::kStopped);
  EXPECT_EQ(train_on(2, config).outcome, TrainOutcome::kFinished);
  expect_equal_runs(scratch.path("whole"), scratch.path("parts"), kSteps);
  PosixFileSystem files;
  EXPECT_FALSE(compare_checkpoints(files, scratch.path("whole/checkpoints/last"),
                                   scratch.path("parts/checkpoints/last"))
                   .first);
}

// Rows of the vocabulary are updated when somebody reads them; who reads when changes nothing. With
// one row of text in a batch words come and go.
TEST(SameBits, RarelyLookedAtAndStopped) {
  const Scratch scratch;
  const auto on = [&](const std::string& output, std::vector<std::string> assignments) {
    assignments.insert(assignments.end(), {"numerics.tensor=2", "batch.size=1"});
    return tiny_config(scratch, output, assignments);
  };
  train_on(1, on("often", {}));
  struct Way {
    int ranks, tensor, zero;
  };
  for (const auto& [ranks, tensor, zero] :
       {Way{1, 1, 0}, Way{2, 1, 0}, Way{2, 1, 1}, Way{4, 2, 0}}) {
    const std::string output = fmt::format("rarely{}x{}x{}", ranks / tensor, tensor, zero);
    const Config config = on(
        output, {"log.hash_every=6", "training.evaluate_every=never", "checkpoint.every=never",
                 "verify.steps=4", "replica_check_every=5",
                 fmt::format("parallel.tensor={}", tensor), fmt::format("parallel.zero={}", zero)});
    train_on(ranks, config, {.stop_after = 7});
    train_on(ranks, config);
    PosixFileSystem files;
    const RunComparison comparison =
        compare_runs(files, scratch.path("often"), scratch.path(output));
    EXPECT_EQ(comparison.losses, kSteps) << output;
    EXPECT_GE(comparison.hashes, 2) << output;
    EXPECT_FALSE(comparison.first) << output << ": " << comparison.first->what;
  }
}

TEST(SameBits, SgdWithMomentumIsResumedToo) {
  const Scratch scratch;
  const std::vector<std::string> sgd = {
      "optimizer={name: sgd, lr: 0.1, momentum: 0.9, weight_decay: 0.01}"};
  train_on(1, tiny_config(scratch, "whole", sgd));
  const Config config = tiny_config(scratch, "parts", sgd);
  train_on(2, config, {.stop_after = 5});
  train_on(1, config);
  expect_equal_runs(scratch.path("whole"), scratch.path("parts"), kSteps);
}

TEST(SameBits, FastModeRunsOnThreeRanksAndRepeats) {
  const Scratch scratch;
  const std::vector<std::string> fast = {"numerics.mode=fast"};
  train_on(3, tiny_config(scratch, "one", fast));
  train_on(3, tiny_config(scratch, "two", fast));
  expect_equal_runs(scratch.path("one"), scratch.path("two"), kSteps);
}

TEST(SameBits, DropoutAndSeedChangeTheBits) {
  const Scratch scratch;
  PosixFileSystem files;
  train_on(1, tiny_config(scratch, "run"));
  train_on(1, tiny_config(scratch, "dry", {"model.dropout={hidden: 0, attention: 0, head: 0}"}));
  train_on(1, tiny_config(scratch, "seed", {"seed=6"}));
  const RunComparison dry = compare_runs(files, scratch.path("run"), scratch.path("dry"));
  ASSERT_TRUE(dry.first);
  EXPECT_EQ(dry.first->step, 1);
  const RunComparison seed = compare_runs(files, scratch.path("run"), scratch.path("seed"));
  ASSERT_TRUE(seed.first);
  EXPECT_EQ(seed.first->step, 0);
  EXPECT_TRUE(has(seed.first->what, "parameter "));
}

TEST(SameBits, AChangedWeightIsFoundByName) {
  const Scratch scratch;
  const std::string folder = starting_folder(scratch, "start");
  const auto config = [&](const std::string& output) {
    Config c = tiny_config(scratch, output);
    c.model.from = folder;
    c.model.architecture.reset();
    c.model.tokenizer.reset();
    return c;
  };
  train_on(1, config("before"));
  train_on(2, config("same"));
  expect_equal_runs(scratch.path("before"), scratch.path("same"), kSteps);

  // The last value in the file is changed in its lowest bit; then what it is part of is named.
  PosixFileSystem files;
  const std::string path = folder + "/model.safetensors";
  std::string bytes = read_file(files, path);
  bytes[bytes.size() - 4] = static_cast<char>(bytes[bytes.size() - 4] ^ 1);
  write_file_atomically(files, path, bytes);
  train_on(1, config("after"));
  const RunComparison comparison =
      compare_runs(files, scratch.path("before"), scratch.path("after"));
  ASSERT_TRUE(comparison.first);
  EXPECT_EQ(comparison.first->step, 0);
  // Tensors lie by name: the last one is classifier.weight.
  EXPECT_TRUE(has(comparison.first->what, "parameter head.out.weight"));
}

}  // namespace
}  // namespace heddle
