// Hugging Face folder -> checkpoint -> folder, and a run -> folder.
#include "trainer/convert.h"

#include <filesystem>

#include "framework/autograd/record.h"
#include "framework/io/hash.h"
#include "framework/io/json.h"
#include "tests/support/tensors.h"
#include "tests/trainer/serving.h"
#include "trainer/checkpointing.h"
#include "trainer/run_differences.h"

namespace heddle {
namespace {

const std::vector<std::string> kTexts = {"a large wild cat", "the sea", "town of the sea"};

class Convert : public testing::Test {
 protected:
  Tensor logits(const std::string& path) {
    const NoGrad no_grad;
    const auto served = load_served_model(files_, path);
    return served->model(served->batch(kTexts));
  }

  // What is told of an import on so many ranks, `tensor` of which share the model.
  std::string import(const std::string& folder, const std::string& output, int ranks = 1,
                     int tensor = 1) {
    std::string told;
    run_threads(ranks, [&](Communicator& world) {
      PosixFileSystem files;
      const std::string mine =
          import_folder(files, folder, output, Mesh(world, {.tensor = tensor}));
      if (world.rank() == 0) told = mine;
    });
    return told;
  }

  Scratch scratch_;
  PosixFileSystem files_;
};

TEST_F(Convert, AFolderComesBackAsItWas) {
  for (const Head& head :
       {Head(), Head{Problem::kMultiLabel, {"x", "y", "z"}}, Head{Problem::kRegression, {"n"}}}) {
    const std::string name = std::string(name_of(head.problem));
    const std::string folder = model_folder(scratch_, name, head);
    const std::string checkpoint = scratch_.path(name + "-checkpoint");
    const std::string back = scratch_.path(name + "-back");
    EXPECT_TRUE(has(import(folder, checkpoint), "M parameters of " + folder));
    export_model(files_, checkpoint, back);
    for (const char* file : {"config.json", "model.safetensors", "tokenizer.json"}) {
      EXPECT_TRUE(read_file(files_, folder + "/" + file) == read_file(files_, back + "/" + file))
          << name << " " << file;
    }
    EXPECT_TRUE(same_bits(logits(checkpoint), logits(folder)));
    EXPECT_TRUE(same_bits(logits(back), logits(folder)));
  }
}

TEST_F(Convert, AnImportIsTheSameOnAnyMesh) {
  const std::string folder = starting_folder(scratch_, "folder");  // of 2 heads
  const std::string one = scratch_.path("one");
  import(folder, one);
  struct Ranks {
    int all, tensor;
  };
  for (const auto& [ranks, tensor] : {Ranks{2, 2}, Ranks{2, 1}, Ranks{4, 2}}) {
    const std::string other = scratch_.path(fmt::format("{}of{}", tensor, ranks));
    import(folder, other, ranks, tensor);
    EXPECT_FALSE(compare_checkpoints(files_, one, other).first) << other;
    EXPECT_TRUE(verify_checkpoint(files_, other).is_good());
    const CheckpointReader a(files_, one), b(files_, other);
    EXPECT_EQ(a.state().parts, b.state().parts);
    EXPECT_EQ(a.hash("model.safetensors"), b.hash("model.safetensors"));
    export_model(files_, other, other + "-back");
    EXPECT_TRUE(read_file(files_, folder + "/model.safetensors") ==
                read_file(files_, other + "-back/model.safetensors"));
    if (ranks == tensor) {  // each rank has written its slices
      EXPECT_TRUE(files_.exists(other + "/shard-001.h5"));
    }
  }
}

TEST_F(Convert, AnImportInMoreSlicesThanHeadsIsRefused) {
  const std::string folder = starting_folder(scratch_, "folder");
  const Caught refused = caught([&] { import(folder, scratch_.path("checkpoint"), 4, 4); });
  EXPECT_TRUE(has(refused.what, "4 slices (numerics.tensor, parallel.tensor) of a model with 2"));
  EXPECT_FALSE(files_.exists(scratch_.path("checkpoint")));
  EXPECT_FALSE(files_.exists(scratch_.path("checkpoint.import")));
}

TEST_F(Convert, AnImportRecordsTheHashOfTheWeights) {
  const std::string folder = model_folder(scratch_, "folder");
  import(folder, scratch_.path("deep/in/checkpoint"));
  const CheckpointReader reader(files_, scratch_.path("deep/in/checkpoint"));
  EXPECT_EQ(reader.hash("model.safetensors"), hash_file(files_, folder + "/model.safetensors"));
  EXPECT_EQ(reader.state().step, 0);
  EXPECT_EQ(reader.text().max_length, 32);
  EXPECT_FALSE(files_.exists(scratch_.path("deep/in/checkpoint.import")));
}

TEST_F(Convert, AnImportNeverReplacesWhatIsThere) {
  const std::string folder = model_folder(scratch_, "folder");
  const Caught refused = caught([&] { import(folder, folder); });
  EXPECT_EQ(refused.code, ExitCode::kInput);
  EXPECT_TRUE(has(refused.what, "/folder: exists already"));
  EXPECT_TRUE(has(refused.hint, "a folder of its own"));
}

TEST_F(Convert, AnImportTellsWhichHeadStartsAfresh) {
  const std::string folder = model_folder(scratch_, "folder");
  std::string config = read_file(files_, folder + "/config.json");
  const size_t at = config.find("\"1\": \"b\"");
  ASSERT_NE(at, std::string::npos) << config;
  write_file_atomically(files_, folder + "/config.json", config.insert(at, "\"2\": \"c\", "));
  const std::string told = import(folder, scratch_.path("checkpoint"));
  EXPECT_TRUE(has(told, "a fresh head: "));
  EXPECT_TRUE(has(told, "head.out.weight"));
}

TEST_F(Convert, AnExportedRunAnswersAsTheRunAndCarriesItsTestMetrics) {
  scratch_.write("test.tsv", labelled_rows(11, 200));
  const Config config =
      tiny_config(scratch_, "run", {"data.test=" + scratch_.path("test.tsv"), "training.steps=3"});
  train_on(2, config);
  const std::string folder = scratch_.path("exported");
  export_model(files_, scratch_.path("run"), folder);
  EXPECT_TRUE(same_bits(logits(folder), logits(scratch_.path("run"))));
  const std::string card = read_file(files_, folder + "/README.md");
  EXPECT_TRUE(has(card, "# bert for single_label"));
  EXPECT_TRUE(has(card, "Labels: a, b. Texts of at most 16 tokens."));
  EXPECT_TRUE(has(card, "On the 11 rows of its test split:"));
  EXPECT_TRUE(has(card, "| accuracy | "));
  // And trains on.
  Config further = tiny_config(scratch_, "further", {"training.steps=1"});
  further.model.from = folder;
  further.model.architecture.reset();
  further.model.tokenizer.reset();
  EXPECT_EQ(train_on(1, further).outcome, TrainOutcome::kFinished);
}

}  // namespace
}  // namespace heddle
