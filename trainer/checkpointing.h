// What a checkpoint of ours holds, and how ranks read it together: everything that a run needs to
// go on to the same bits on any mesh, and all that predict and export need. How it is written:
// checkpoint_save.h.
//
//   CheckpointReader reader(files, "runs/sst2/checkpoints/step-000000500");
//   reader.fill(arena, seed, notes);
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/epoch_sampler.h"
#include "framework/comm/communicator.h"
#include "framework/io/checkpoint.h"
#include "framework/io/json.h"
#include "framework/nn/arena.h"
#include "framework/optim/optimizer.h"
#include "models/config.h"
#include "models/tokenizers/tokenizer.h"
#include "trainer/checkpoint_pieces.h"
#include "trainer/log/run_state.h"
#include "trainer/served_model.h"

namespace heddle {

// Where a run stands; with the parameters and the optimizer's state, all that a step depends on.
struct TrainingState {
  int64_t step = 0;  // done
  SamplerState sampler;
  int64_t optimizer_steps = 0;  // less than `step` where steps were skipped
  int64_t skipped_in_a_row = 0;
  std::optional<BestCheckpoint> best;
  int64_t evaluations_without_gain = 0;  // since the best, for early stopping
  int64_t leaves = 8;                    // the canonical mesh: of a batch,
  int64_t parts = 1;                     // and of each sharded matrix
  Precision precision = Precision::kF32;
};

// What is saved; all of it outlives the call.
struct CheckpointContents {
  const ClassifierConfig& config;
  const TextSettings& text;
  const Tokenizer& tokenizer;
  const ParameterArena& arena;
  const Optimizer* optimizer;  // null: weights alone
  TrainingState state;
  std::string run_config;  // the resolved YAML
  std::vector<std::pair<std::string, std::string>> hashes;
};

struct SaveOptions {
  std::string root;  // the folder of checkpoints
  int64_t step = 0;
  int64_t keep = 2;    // besides the best
  bool best = false;   // moves the link `best` here
  std::string loaded;  // the checkpoint this run started from, never removed
};

// Tokenizer files lie in a checkpoint as texts of these names.
inline constexpr std::string_view kTokenizerPrefix = "tokenizer/";
// What a checkpoint holds beside tensors and texts.
Json metadata_of(const CheckpointContents& contents);

class CheckpointReader {
 public:
  enum class Need : uint8_t { kEverything, kModel };  // kModel: not the optimizer's state

  // Verifies the files that hold what is needed. Throws Error(kNoData) that says what is damaged,
  // with another checkpoint of the same folder that is whole as the hint.
  CheckpointReader(FileSystem& files, const std::string& path, Need need = Need::kEverything);
  ~CheckpointReader();

  const std::string& path() const { return path_; }
  const ClassifierConfig& config() const { return config_; }
  const TextSettings& text() const { return text_; }
  std::shared_ptr<const Tokenizer> tokenizer() const;
  const TrainingState& state() const { return state_; }
  const std::string& run_config() const { return run_config_; }
  std::string hash(const std::string& name) const;  // "" if there is none of that name

  // Each reads only what this rank holds, whichever mesh wrote it.
  // Fills every parameter; one whose head has other outputs starts afresh, which `notes` says.
  void fill(const ParameterArena& arena, int64_t seed, std::vector<std::string>& notes) const;
  // Fills every parameter. Those without memory become views of the mapped file, not to be written,
  // where their elements lie together in it; the others get memory of their own.
  void fill(const NamedParameters& parameters) const;
  // The optimizer's state; its number of updates is in state().
  void fill(Optimizer& optimizer) const;

 private:
  void require_shape(const std::string& name, const Parameter& parameter) const;
  // False if the elements do not lie together in a file.
  bool view(const std::string& name, Parameter& parameter) const;
  void read(const HeldPiece& piece) const;

  std::string path_;
  std::unique_ptr<Checkpoint> checkpoint_;
  ClassifierConfig config_;
  TextSettings text_;
  TokenizerFiles tokenizer_files_;
  TrainingState state_;
  std::string run_config_;
};

}  // namespace heddle
