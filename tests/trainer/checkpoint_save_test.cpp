// Saves behind the back of training: what is written is what there was at the start, and whatever
// fails leaves the old or the new state.
#include "trainer/checkpoint_save.h"

#include <set>
#include <thread>

#include "framework/comm/single.h"
#include "tests/models/small_model.h"
#include "tests/support/faulty_file_system.h"
#include "tests/trainer/tiny_run.h"

namespace heddle {
namespace {

const std::string kRoot = "run/checkpoints";

ClassifierConfig one_layer() {
  ClassifierConfig config = small_config();
  config.layers = 1;
  return config;
}

// A model all of whose parameters are one number, and its saves.
struct Saved {
  void set(float value) { small.arena.values().fill(value); }

  std::unique_ptr<CheckpointSave> begin(FileSystem& files, Communicator& world, int64_t step) {
    const SaveOptions options = {.root = kRoot, .step = step, .keep = 1, .loaded = {}};
    TrainingState state;
    state.step = step;
    return std::make_unique<CheckpointSave>(files, world, options,
                                            CheckpointContents{.config = small.config,
                                                               .text = {},
                                                               .tokenizer = *tokenizer,
                                                               .arena = small.arena,
                                                               .optimizer = nullptr,
                                                               .state = state,
                                                               .run_config = "",
                                                               .hashes = {}},
                                            CheckpointSave::When::kInBackground);
  }

  SmallModel small{one_layer()};
  std::shared_ptr<const Tokenizer> tokenizer = load_tokenizer(
      std::string(HEDDLE_SOURCE_DIR) + "/tests/models/tokenizers/fixtures/bert_vocab_only");
};

// The number that the newest checkpoint holds everywhere.
float found(FileSystem& files) {
  const auto newest = find_newest_valid(files, kRoot, [](const auto& path, const auto& reason) {
    ADD_FAILURE() << path << ": " << reason;
  });
  SmallModel back(one_layer());
  std::vector<std::string> notes;
  CheckpointReader(files, newest->path()).fill(back.arena, 1, notes);
  std::set<float> values;
  for (const ParameterArena::Entry& entry : back.arena.entries()) {
    for (const float v : entry.parameter->value.span<const float>()) values.insert(v);
  }
  EXPECT_EQ(values.size(), 1u);
  return *values.begin();
}

TEST(CheckpointSave, TakesWhatThereWasAtItsStart) {
  FaultyFileSystem disk;
  const auto alone = make_single();
  Saved saved;
  saved.set(4);
  const auto save = saved.begin(disk, *alone, 10);
  saved.set(5);
  while (!save->poll()) std::this_thread::yield();
  save->wait();  // nothing is left to do
  EXPECT_TRUE(save->poll());
  EXPECT_EQ(save->bytes_held(), 0);
  EXPECT_EQ(found(disk), 4);
}

TEST(CheckpointSave, AnyFaultLeavesTheOldOrTheNewState) {
  const auto alone = make_single();
  Saved saved;
  FaultyFileSystem before;
  saved.set(1);
  saved.begin(before, *alone, 10)->wait();
  saved.set(2);
  const auto counted = before.clone();
  counted->never_fail();
  saved.begin(*counted, *alone, 20)->wait();
  ASSERT_GT(counted->operations(), 30);
  for (const Fault fault : {Fault::kCrash, Fault::kNoSpace, Fault::kIoError}) {
    int failures = 0;
    for (int64_t k = 0; k < counted->operations(); ++k) {
      const auto disk = before.clone();
      disk->fail_at(k, fault);
      bool failed = false;
      saved.set(2);
      try {
        const auto save = saved.begin(*disk, *alone, 20);
        saved.set(3);
        save->wait();
      } catch (const SimulatedCrash&) {
        failed = true;
      } catch (const Error& error) {
        failed = true;
        EXPECT_TRUE(has(error.what(), "checkpoint of step 20 not saved: rank 0: "));
      }
      failures += failed ? 1 : 0;
      const auto after = disk->after_crash(Survival::kDurableOnly);
      const float value = found(*after);
      EXPECT_TRUE(value == 2 || (failed && value == 1)) << k << ": " << value;
    }
    EXPECT_GT(failures, 5);
  }
}

}  // namespace
}  // namespace heddle
