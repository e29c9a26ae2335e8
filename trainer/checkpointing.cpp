#include "trainer/checkpointing.h"

#include <algorithm>
#include <set>
#include <utility>

#include "framework/comm/collectives.h"
#include "framework/nn/shard.h"
#include "models/hf/config.h"

namespace heddle {
namespace {

constexpr const char* kWeights = "weights/";
constexpr const char* kTokenizer = "tokenizer/";

std::vector<int64_t> dims(const Shape& shape) {
  return {shape.begin(), shape.end()};
}

Json to_json(const TextSettings& text) {
  return {{"max_length", text.max_length},   {"truncation", text.truncation},
          {"stride", text.stride},           {"text_column", text.text_column},
          {"pair_column", text.pair_column}, {"label_column", text.label_column}};
}

TextSettings text_settings(const JsonView& json) {
  TextSettings text;
  text.max_length = json.get<int64_t>("max_length");
  text.truncation = json.get<std::string>("truncation");
  text.stride = json.get<int64_t>("stride");
  text.text_column = json.get<std::string>("text_column");
  text.pair_column = json.get<std::string>("pair_column");
  text.label_column = json.get<std::string>("label_column");
  return text;
}

Json to_json(const TrainingState& state) {
  Json json = {{"step", state.step},
               {"epoch", state.sampler.epoch},
               {"position", state.sampler.position},
               {"optimizer_steps", state.optimizer_steps},
               {"skipped_in_a_row", state.skipped_in_a_row},
               {"evaluations_without_gain", state.evaluations_without_gain},
               {"leaves", state.leaves},
               {"parts", state.parts}};
  if (state.best) {
    json["best"] = {
        {"step", state.best->step}, {"metric", state.best->metric}, {"value", state.best->value}};
  }
  return json;
}

TrainingState training_state(const JsonView& json) {
  TrainingState state;
  state.step = json.get<int64_t>("step");
  state.sampler = {json.get<int64_t>("epoch"), json.get<int64_t>("position")};
  state.optimizer_steps = json.get<int64_t>("optimizer_steps");
  state.skipped_in_a_row = json.get<int64_t>("skipped_in_a_row");
  state.evaluations_without_gain = json.get<int64_t>("evaluations_without_gain");
  state.leaves = json.get<int64_t>("leaves");
  state.parts = json.get<int64_t>("parts");
  if (json.has("best")) {
    const JsonView best = json["best"];
    state.best = BestCheckpoint{best.get<int64_t>("step"), best.get<std::string>("metric"),
                                best.get<double>("value")};
  }
  return state;
}

// A box of a tensor and where its elements are.
struct BoxOfPiece {
  Box box;
  std::span<float> values;
};

std::vector<BoxOfPiece> boxes_of(const HeldPiece& piece) {
  std::vector<BoxOfPiece> boxes;
  const int64_t last = piece.first + static_cast<int64_t>(piece.values.size());
  for (ShardBox& box : shard_boxes(*piece.parameter, piece.first, last)) {
    boxes.push_back({{std::move(box.begin), std::move(box.extent)},
                     piece.values.subspan(static_cast<size_t>(box.offset - piece.first),
                                          static_cast<size_t>(box.numel))});
  }
  return boxes;
}

// Runs a phase on every rank; if it failed on any, drops the temporary folder and throws the first
// failure everywhere.
void agreed(FileSystem& files, Communicator& world, const CheckpointPlace& place,
            const std::function<void()>& phase) {
  std::string failure;
  try {
    phase();
  } catch (const std::exception& error) {
    failure = error.what();
    if (failure.empty()) failure = "unknown failure";
  }
  const std::vector<std::string> failures = all_gather_text(world, failure, "checkpoint");
  for (size_t rank = 0; rank < failures.size(); ++rank) {
    if (failures[rank].empty()) continue;
    if (world.rank() == 0) abandon_checkpoint(files, place);
    throw Error(ExitCode::kIo,
                fmt::format("checkpoint of step {} not saved: rank {}: {}", place.step, rank,
                            failures[rank]),
                "the checkpoints before it are whole");
  }
}

Json metadata_of(const CheckpointContents& contents) {
  Json hashes = Json::object();
  for (const auto& [name, hash] : contents.hashes) hashes[name] = hash;
  return {{"kind", "classifier"},           {"model", config_json(contents.config)},
          {"text", to_json(contents.text)}, {"state", to_json(contents.state)},
          {"config", contents.run_config},  {"hashes", hashes}};
}

}  // namespace

void save_checkpoint(FileSystem& files, Communicator& world, const SaveOptions& options,
                     const CheckpointContents& contents) {
  const CheckpointPlace place{.root = options.root, .step = options.step};
  std::vector<HeldPiece> held = held_weights(contents.arena.parameters());
  if (contents.optimizer) std::ranges::move(held_states(*contents.optimizer), back_inserter(held));
  const WritingShare share = share_writing(world, std::move(held));
  agreed(files, world, place, [&] {
    if (world.rank() != 0) return;
    make_directories(files, options.root);
    prepare_checkpoint(files, place, share.bytes);
  });
  ShardSummary mine;
  agreed(files, world, place, [&] {
    CheckpointWriter writer(files, place, world.rank());
    for (const HeldPiece& piece : share.mine) {
      const std::vector<int64_t> shape = dims(piece.parameter->whole_shape());
      for (const BoxOfPiece& part : boxes_of(piece)) {
        writer.add(piece.name, DType::kF32, shape, part.box, std::as_bytes(part.values));
      }
    }
    if (world.rank() == 0) {
      for (const auto& [name, content] : contents.tokenizer.files()) {
        writer.add_text(kTokenizer + name, content);
      }
    }
    mine = writer.finish();
  });
  const std::vector<std::string> summaries = gather_text(world, mine.to_text(), 0, "shards");
  agreed(files, world, place, [&] {
    if (world.rank() != 0) return;
    std::vector<ShardSummary> shards;
    for (const std::string& text : summaries) shards.push_back(ShardSummary::from_text(text));
    commit_checkpoint(files, place, std::move(shards),
                      {.metadata = metadata_of(contents),
                       .keep = static_cast<int>(options.keep),
                       .best = options.best,
                       .loaded = options.loaded});
  });
}

CheckpointReader::CheckpointReader(FileSystem& files, const std::string& path)
    : path_(path), checkpoint_(std::make_unique<Checkpoint>(files, path)) {
  const JsonView metadata(checkpoint_->metadata(), path + "/manifest.json");
  config_ = parse_config(metadata["model"].raw(), metadata.name());
  text_ = text_settings(metadata["text"]);
  state_ = training_state(metadata["state"]);
  run_config_ = metadata.get<std::string>("config");
  for (const auto& [name, tensor] : checkpoint_->tensors()) {
    if (name.starts_with(kTokenizer)) {
      tokenizer_files_[name.substr(std::string_view(kTokenizer).size())] = checkpoint_->text(name);
    }
  }
}

CheckpointReader::~CheckpointReader() = default;

std::shared_ptr<const Tokenizer> CheckpointReader::tokenizer() const {
  return load_tokenizer_from_files(tokenizer_files_, path_);
}

std::string CheckpointReader::hash(const std::string& name) const {
  return JsonView(checkpoint_->metadata(), path_)["hashes"].get_or(name, "");
}

void CheckpointReader::read(const HeldPiece& piece) const {
  const Shape& whole = piece.parameter->whole_shape();
  const StoredTensor& stored = checkpoint_->at(piece.name);
  if (stored.dtype != DType::kF32 || stored.shape != dims(whole)) {
    throw Error(ExitCode::kNoData,
                fmt::format("{}: tensor '{}' is {} [{}]. Expected f32 {}", path_, piece.name,
                            name_of(stored.dtype), fmt::join(stored.shape, ", "), whole));
  }
  for (const BoxOfPiece& part : boxes_of(piece)) {
    checkpoint_->read(piece.name, part.box, std::as_writable_bytes(part.values));
  }
}

void CheckpointReader::fill(const ParameterArena& arena, int64_t seed,
                            std::vector<std::string>& notes) const {
  std::set<std::string> fresh;
  NamedParameters stored;
  for (const auto& [name, parameter] : arena.parameters()) {
    const bool other_head = name.starts_with("head.") && checkpoint_->at(kWeights + name).shape !=
                                                             dims(parameter->whole_shape());
    if (!other_head) {
      stored.emplace_back(name, parameter);
      continue;
    }
    initialize(name, *parameter, static_cast<uint64_t>(seed));
    if (!fresh.insert(name).second) continue;  // another shard of it
    notes.push_back(fmt::format("a fresh head: {} starts at random", name));
  }
  fill(stored);
}

void CheckpointReader::fill(const NamedParameters& parameters) const {
  for (const auto& [name, parameter] : parameters) {
    if (!parameter->value.defined()) parameter->value = Tensor::empty(parameter->shape());
  }
  for (const HeldPiece& piece : held_weights(parameters)) read(piece);
}

void CheckpointReader::fill(Optimizer& optimizer) const {
  for (const HeldPiece& piece : held_states(optimizer)) read(piece);
}

}  // namespace heddle
