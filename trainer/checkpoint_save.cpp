#include "trainer/checkpoint_save.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <sstream>
#include <utility>

#include "framework/comm/collectives.h"
#include "framework/device/profile.h"

namespace heddle {

CheckpointSave::CheckpointSave(FileSystem& files, Communicator& world, const SaveOptions& options,
                               const CheckpointContents& contents, When when)
    : files_(files),
      world_(world),
      place_{.root = options.root, .step = options.step},
      options_(options),
      when_(when),
      metadata_(metadata_of(contents)) {
  std::vector<HeldPiece> held = held_weights(contents.arena.parameters());
  if (contents.optimizer) std::ranges::move(held_states(*contents.optimizer), back_inserter(held));
  share_ = share_writing(world, std::move(held));
  if (world.rank() == 0) texts_ = contents.tokenizer.files();
  if (when_ == When::kInBackground) copy();
  start([this] {
    if (world_.rank() != 0) return;
    make_directories(files_, options_.root);
    prepare_checkpoint(files_, place_, share_.bytes);
  });
}

void CheckpointSave::copy() {
  int64_t elements = 0;
  for (const HeldPiece& piece : share_.mine) elements += static_cast<int64_t>(piece.values.size());
  const ProfiledStage span("copy for a checkpoint");
  copy_ = Tensor::empty({elements});
  std::span<float> rest = copy_.span<float>();
  for (HeldPiece& piece : share_.mine) {
    const std::span<float> to = rest.first(piece.values.size());
    std::ranges::copy(piece.values, to.begin());
    piece.values = to;
    rest = rest.subspan(to.size());
  }
}

void CheckpointSave::start(std::function<void()> job) {
  job_ = std::async(when_ == When::kInBackground ? std::launch::async : std::launch::deferred,
                    std::move(job));
}

// Into one file what serving needs, into another the optimizer's state.
void CheckpointSave::write() {
  const ProfiledStage span("write checkpoint");
  CheckpointWriter model(files_, place_, world_.rank());
  std::optional<CheckpointWriter> optimizer;
  for (const HeldPiece& piece : share_.mine) {
    const bool is_state = piece.name.starts_with(kOptimizerPrefix);
    if (is_state && !optimizer) optimizer.emplace(files_, place_, world_.rank(), "optimizer");
    CheckpointWriter& writer = is_state ? *optimizer : model;
    const Shape& whole = piece.parameter->whole_shape();
    const std::vector<int64_t> shape(whole.begin(), whole.end());
    for (const BoxOfPiece& part : boxes_of(piece)) {
      writer.add(piece.name, DType::kF32, shape, part.box, std::as_bytes(part.values));
    }
  }
  for (const auto& [name, content] : texts_)
    model.add_text(std::string(kTokenizerPrefix) + name, content);
  mine_.push_back(model.finish());
  if (optimizer) mine_.push_back(optimizer->finish());
}

bool CheckpointSave::poll() {
  if (phase_ == Phase::kDone) return true;
  const bool ready = job_.wait_for(std::chrono::seconds(0)) != std::future_status::timeout;
  if (all_reduce(world_, int64_t{ready}, Reduction::kMin, "checkpoint") == 0) return false;
  return advance();
}

void CheckpointSave::wait() {
  const ProfiledStage span("wait for a checkpoint");
  while (phase_ != Phase::kDone) advance();
}

// Ends the phase that this rank's job belongs to, on all ranks, and begins the next.
bool CheckpointSave::advance() {
  std::string failure;
  try {
    job_.get();
  } catch (const std::exception& error) {
    failure = error.what();
    if (failure.empty()) failure = "unknown failure";
  }
  const std::vector<std::string> failures = all_gather_text(world_, failure, "checkpoint");
  for (size_t rank = 0; rank < failures.size(); ++rank) {
    if (failures[rank].empty()) continue;
    phase_ = Phase::kDone;
    if (world_.rank() == 0) abandon_checkpoint(files_, place_);
    throw Error(ExitCode::kIo,
                fmt::format("checkpoint of step {} not saved: rank {}: {}", place_.step, rank,
                            failures[rank]),
                "the checkpoints before it are whole");
  }
  if (phase_ == Phase::kPrepare) {
    phase_ = Phase::kWrite;
    start([this] { write(); });
  } else if (phase_ == Phase::kWrite) {
    copy_ = {};
    phase_ = Phase::kCommit;
    std::string mine;
    for (const ShardSummary& shard : mine_) mine += shard.to_text() + "\n";
    std::vector<std::string> summaries = gather_text(world_, mine, 0, "shards");
    start([this, summaries = std::move(summaries)] {
      if (world_.rank() != 0) return;
      std::vector<ShardSummary> shards;
      for (const std::string& texts : summaries) {
        std::istringstream lines(texts);
        for (std::string text; std::getline(lines, text);)
          shards.push_back(ShardSummary::from_text(text));
      }
      commit_checkpoint(files_, place_, std::move(shards),
                        {.metadata = metadata_,
                         .keep = static_cast<int>(options_.keep),
                         .best = options_.best,
                         .loaded = options_.loaded});
    });
  } else {
    phase_ = Phase::kDone;
  }
  return phase_ == Phase::kDone;
}

void save_checkpoint(FileSystem& files, Communicator& world, const SaveOptions& options,
                     const CheckpointContents& contents) {
  CheckpointSave(files, world, options, contents, CheckpointSave::When::kInPlace).wait();
}

}  // namespace heddle
