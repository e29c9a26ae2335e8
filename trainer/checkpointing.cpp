#include "trainer/checkpointing.h"

#include <algorithm>
#include <set>
#include <utility>

#include "framework/nn/shard.h"
#include "models/hf/config.h"

namespace heddle {
namespace {

constexpr const char* kWeights = "weights/";

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
               {"parts", state.parts},
               {"precision", std::string(name_of(state.precision))}};
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
  if (json.has("precision")) {
    state.precision = precision_from_name(json.get<std::string>("precision"));
  }
  if (json.has("best")) {
    const JsonView best = json["best"];
    state.best = BestCheckpoint{best.get<int64_t>("step"), best.get<std::string>("metric"),
                                best.get<double>("value")};
  }
  return state;
}

// What to do about a damaged checkpoint.
std::string way_out(FileSystem& files, const std::string& path) {
  try {
    const auto whole = find_newest_valid(files, parent_path(path), [](const auto&, const auto&) {});
    if (whole) return fmt::format("{} is whole: name it instead", whole->path());
  } catch (const Error&) {
    // None of them is.
  }
  return fmt::format("heddle verify {} says all that is wrong with it", path);
}

std::unique_ptr<Checkpoint> open_checkpoint(FileSystem& files, const std::string& path,
                                            CheckpointReader::Need need) {
  try {
    if (need == CheckpointReader::Need::kEverything) {
      return std::make_unique<Checkpoint>(files, path, Verify::kAtOpen);
    }
    auto checkpoint = std::make_unique<Checkpoint>(files, path, Verify::kOnUse);
    for (const auto& [name, tensor] : checkpoint->tensors()) {
      if (!name.starts_with(kOptimizerPrefix)) checkpoint->verify(name);
    }
    return checkpoint;
  } catch (const UnknownVersion&) {
    throw;
  } catch (const Error& error) {
    if (error.code() != ExitCode::kNoData || !error.hint().empty()) throw;
    throw Error(error.code(), error.what(), way_out(files, path));
  }
}

}  // namespace

Json metadata_of(const CheckpointContents& contents) {
  Json hashes = Json::object();
  for (const auto& [name, hash] : contents.hashes) hashes[name] = hash;
  return {{"kind", "classifier"},           {"model", config_json(contents.config)},
          {"text", to_json(contents.text)}, {"state", to_json(contents.state)},
          {"config", contents.run_config},  {"hashes", hashes}};
}

CheckpointReader::CheckpointReader(FileSystem& files, const std::string& path, Need need)
    : path_(path), checkpoint_(open_checkpoint(files, path, need)) {
  const JsonView metadata(checkpoint_->metadata(), path + "/manifest.json");
  config_ = parse_config(metadata["model"].raw(), metadata.name());
  text_ = text_settings(metadata["text"]);
  state_ = training_state(metadata["state"]);
  run_config_ = metadata.get<std::string>("config");
  for (const auto& [name, tensor] : checkpoint_->tensors()) {
    if (name.starts_with(kTokenizerPrefix)) {
      tokenizer_files_[name.substr(kTokenizerPrefix.size())] = checkpoint_->text(name);
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

void CheckpointReader::require_shape(const std::string& name, const Parameter& parameter) const {
  const Shape& whole = parameter.whole_shape();
  const StoredTensor& stored = checkpoint_->at(name);
  if (stored.dtype == DType::kF32 && stored.shape == dims(whole)) return;
  throw Error(ExitCode::kNoData,
              fmt::format("{}: tensor '{}' is {} [{}]. Expected f32 {}", path_, name,
                          name_of(stored.dtype), fmt::join(stored.shape, ", "), whole));
}

bool CheckpointReader::view(const std::string& name, Parameter& parameter) const {
  require_shape(name, parameter);
  const std::vector<ShardBox> boxes = shard_boxes(parameter);
  if (boxes.size() != 1) return false;
  auto elements = checkpoint_->hold(name, {boxes[0].begin, boxes[0].extent});
  if (elements == nullptr) return false;
  parameter.value = Tensor::view_read_only(std::move(elements), parameter.shape(), DType::kF32);
  return true;
}

void CheckpointReader::read(const HeldPiece& piece) const {
  require_shape(piece.name, *piece.parameter);
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
  NamedParameters to_read;
  for (const auto& [name, parameter] : parameters) {
    if (!parameter->value.defined()) {
      if (view(kWeights + name, *parameter)) continue;
      parameter->value = Tensor::empty(parameter->shape());
    }
    to_read.emplace_back(name, parameter);
  }
  for (const HeldPiece& piece : held_weights(to_read)) read(piece);
}

void CheckpointReader::fill(Optimizer& optimizer) const {
  for (const HeldPiece& piece : held_states(optimizer)) read(piece);
}

}  // namespace heddle
