#include "trainer/checkpointing.h"

#include <algorithm>
#include <utility>

#include "framework/comm/collectives.h"
#include "models/hf/config.h"

namespace heddle {
namespace {

constexpr const char* kWeights = "weights/";
constexpr const char* kOptimizer = "optimizer/";
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

struct SavedTensor {
  std::string name;
  Shape shape;
  std::span<const float> values;
};

// Every tensor of a checkpoint, largest first.
std::vector<SavedTensor> pieces_of(const CheckpointContents& contents) {
  std::vector<SavedTensor> pieces;
  for (const ParameterArena::Entry& entry : contents.arena.entries()) {
    pieces.push_back({kWeights + entry.name, entry.parameter->whole_shape(),
                      entry.parameter->value.span<const float>()});
  }
  if (contents.optimizer) {
    for (const Optimizer::State& state : contents.optimizer->states()) {
      for (const Optimizer::Entry& entry : contents.optimizer->entries()) {
        const ParameterArena::Entry& of = *entry.gradient.parameter;
        pieces.push_back({kOptimizer + state.name + "/" + of.name, of.parameter->whole_shape(),
                          state.values.span<const float>().subspan(
                              static_cast<size_t>(entry.offset), static_cast<size_t>(of.numel))});
      }
    }
  }
  std::ranges::stable_sort(pieces, std::greater(),
                           [](const SavedTensor& piece) { return piece.values.size(); });
  return pieces;
}

// This rank's part: each tensor goes to the rank that has least so far.
std::vector<SavedTensor> share_of(std::vector<SavedTensor> pieces, int rank, int ranks) {
  std::vector<size_t> load(static_cast<size_t>(ranks));
  std::vector<SavedTensor> mine;
  for (SavedTensor& piece : pieces) {
    const auto least = std::ranges::min_element(load);
    *least += piece.values.size();
    if (least - load.begin() == rank) mine.push_back(std::move(piece));
  }
  return mine;
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
  const std::vector<SavedTensor> pieces = pieces_of(contents);
  uint64_t bytes = 0;
  for (const SavedTensor& piece : pieces) bytes += piece.values.size_bytes();
  agreed(files, world, place, [&] {
    if (world.rank() != 0) return;
    make_directories(files, options.root);
    prepare_checkpoint(files, place, bytes);
  });
  ShardSummary mine;
  agreed(files, world, place, [&] {
    CheckpointWriter writer(files, place, world.rank());
    for (const SavedTensor& piece : share_of(pieces, world.rank(), world.size())) {
      writer.add(piece.name, DType::kF32, dims(piece.shape), whole(dims(piece.shape)),
                 std::as_bytes(piece.values));
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

void CheckpointReader::read(const std::string& name, const Shape& shape, float* to) const {
  const StoredTensor& stored = checkpoint_->at(name);
  if (stored.dtype != DType::kF32 || stored.shape != dims(shape)) {
    throw Error(ExitCode::kNoData,
                fmt::format("{}: tensor '{}' is {} [{}]. Expected f32 {}", path_, name,
                            name_of(stored.dtype), fmt::join(stored.shape, ", "), shape));
  }
  checkpoint_->read(name,
                    std::as_writable_bytes(std::span(to, static_cast<size_t>(shape.numel()))));
}

void CheckpointReader::fill(const ParameterArena& arena, int64_t seed,
                            std::vector<std::string>& notes) const {
  for (const ParameterArena::Entry& entry : arena.entries()) {
    const Shape& shape = entry.parameter->whole_shape();
    const bool other_head = entry.name.starts_with("head.") &&
                            checkpoint_->at(kWeights + entry.name).shape != dims(shape);
    if (other_head) {
      initialize(entry.name, *entry.parameter, static_cast<uint64_t>(seed));
      notes.push_back(fmt::format("a fresh head: {} starts at random", entry.name));
    } else {
      read(kWeights + entry.name, shape, entry.parameter->value.data<float>());
    }
  }
}

void CheckpointReader::fill(const NamedParameters& parameters) const {
  for (const auto& [name, parameter] : parameters) {
    if (!parameter->value.defined()) parameter->value = Tensor::empty(parameter->shape());
    read(kWeights + name, parameter->whole_shape(), parameter->value.data<float>());
  }
}

void CheckpointReader::fill(Optimizer& optimizer) const {
  for (const Optimizer::State& state : optimizer.states()) {
    for (const Optimizer::Entry& entry : optimizer.entries()) {
      const ParameterArena::Entry& of = *entry.gradient.parameter;
      read(kOptimizer + state.name + "/" + of.name, of.parameter->whole_shape(),
           state.values.data<float>() + entry.offset);
    }
  }
}

}  // namespace heddle
