#include "trainer/served_model.h"

#include <algorithm>

#include "datasets/packing.h"
#include "framework/device/allocator.h"
#include "framework/device/profile.h"
#include "framework/io/json.h"
#include "models/hf/config.h"
#include "models/hf/import.h"
#include "trainer/batching.h"
#include "trainer/checkpointing.h"
#include "trainer/run_folder.h"

namespace heddle {
namespace {

constexpr int64_t kLongest = 512;  // of texts, where a folder does not say

// For a model whose arithmetic was cut into `parts`.
Group group_for(const ClassifierConfig& config, int64_t parts, const LoadOptions& options) {
  if (!options.mesh) return {1, 0, static_cast<int>(parts)};
  const int ranks = options.mesh->size().tensor;
  const Group group = options.mesh->group(parts % ranks == 0 ? static_cast<int>(parts) : ranks);
  require_slices(config, group);
  return group;
}

// The precision to load in: `own`, unless another one is asked for.
Precision precision_for(Precision own, const Group& group, const LoadOptions& options) {
  const Precision precision = options.precision.value_or(own);
  if (options.or_f32 && group.parts() > 1) return Precision::kF32;
  require_precision(precision, group);
  return precision;
}

std::unique_ptr<ServedModel> load_folder(FileSystem& files, const std::string& folder,
                                         const LoadOptions& options) {
  const std::string path = join_path(folder, "config.json");
  ClassifierConfig config = parse_config(read_json(files, path), path);
  const Group group = group_for(config, 1, options);
  config.precision = precision_for(Precision::kF32, group, options);
  auto served = std::make_unique<ServedModel>(config, group);
  served->tokenizer = load_tokenizer(folder);
  require_vocabulary(*served->tokenizer, config);
  const int64_t longest = served->tokenizer->model_max_length();
  served->text.max_length =
      std::min(served->config.max_positions, longest > 0 ? longest : kLongest);
  const auto weights = std::make_shared<SafetensorsFile>(SafetensorsFile::open(files, folder));
  import_weights(weights, served->config, named_parameters(served->model),
                 {.fresh_head_allowed = options.fresh_head_allowed});
  return served;
}

std::unique_ptr<ServedModel> load_checkpoint(FileSystem& files, const std::string& path,
                                             const LoadOptions& options) {
  const CheckpointReader reader(files, path, CheckpointReader::Need::kModel);
  ClassifierConfig config = reader.config();
  const Group group = group_for(config, reader.state().parts, options);
  config.precision = precision_for(reader.state().precision, group, options);
  auto served = std::make_unique<ServedModel>(config, group);
  served->tokenizer = reader.tokenizer();
  require_vocabulary(*served->tokenizer, served->config);
  served->text = reader.text();
  reader.fill(named_parameters(served->model));
  return served;
}

}  // namespace

void require_slices(const ClassifierConfig& config, const Group& group) {
  const int64_t most = std::min({config.heads, config.intermediate_size, config.vocabulary});
  if (group.parts() <= most) return;
  throw Error(ExitCode::kInput,
              fmt::format("{} slices (numerics.tensor, parallel.tensor) of a model with {} heads",
                          group.parts(), config.heads),
              fmt::format("use {} or fewer", most));
}

void require_precision(Precision precision, const Group& group) {
  if (precision == Precision::kF32 || group.parts() == 1) return;
  throw Error(ExitCode::kInput,
              fmt::format("precision {} of a model in {} slices: not yet", name_of(precision),
                          group.parts()),
              "use precision f32, or one rank for each copy of the model");
}

void require_vocabulary(const Tokenizer& tokenizer, const ClassifierConfig& config) {
  if (tokenizer.id_bound() <= config.vocabulary) return;
  throw Error(ExitCode::kInput,
              fmt::format("the tokenizer has ids up to {}, but the model's vocabulary has {}",
                          tokenizer.id_bound() - 1, config.vocabulary),
              "the tokenizer must be the one that the model was made with");
}

EncodeOptions TextSettings::encode_options() const {
  EncodeOptions options;
  options.max_length = static_cast<int>(max_length);
  options.truncation = truncation == "only_first"    ? Truncation::kOnlyFirst
                       : truncation == "only_second" ? Truncation::kOnlySecond
                                                     : Truncation::kLongestFirst;
  options.windows = stride > 0;
  options.stride = static_cast<int>(stride);
  return options;
}

Batch ServedModel::batch(std::span<const std::string> texts, const Device& device) const {
  const EncodeOptions options = text.encode_options();
  TokenizerScratch scratch;
  PackedSequences packed;
  std::vector<int32_t> ids;
  for (const std::string& one : texts) {
    ids.clear();
    uint32_t pair_begin = 0;
    tokenizer->encode_ids(one, std::nullopt, options, scratch, ids, &pair_begin);
    packed.add(ids, pair_begin, packed.sequences());
  }
  return make_batch(packed, device);
}

ModelPath find_model(FileSystem& files, const std::string& path) {
  const auto has = [&](const char* name) { return files.exists(join_path(path, name)); };
  if (has("config.json")) return {ModelPath::Kind::kHuggingFace, path};
  if (has("manifest.json")) return {ModelPath::Kind::kCheckpoint, path};
  if (has("run.json")) {
    const std::string checkpoints = RunFolder(path).checkpoints();
    for (const char* link : {"best", "last"}) {
      const std::string checkpoint = join_path(checkpoints, link);
      if (files.is_directory(checkpoint)) return {ModelPath::Kind::kCheckpoint, checkpoint};
    }
    // A copy of the run may have lost its links.
    const auto newest = find_newest_valid(files, checkpoints, [](const auto&, const auto&) {});
    if (newest) return {ModelPath::Kind::kCheckpoint, newest->path()};
    throw Error(ExitCode::kNoData, fmt::format("{}: the run has no checkpoint yet", path),
                "a checkpoint is written every checkpoint.every steps and at the end");
  }
  throw Error(ExitCode::kInput, fmt::format("{}: no model is there", path),
              "a model is a Hugging Face folder (config.json), a checkpoint (manifest.json) or a "
              "run (run.json)");
}

std::unique_ptr<ServedModel> load_served_model(FileSystem& files, const std::string& path,
                                               const LoadOptions& options) {
  const ProfiledStage span("load model");
  const ModelPath found = find_model(files, path);
  try {
    auto served = found.kind == ModelPath::Kind::kHuggingFace
                      ? load_folder(files, found.path, options)
                      : load_checkpoint(files, found.path, options);
    served->path = found.path;
    if (options.pack && !options.few_rows) copy_tables(served->model);
    if (options.pack) served->model.pack();
    return served;
  } catch (const OutOfMemory& error) {
    throw Error(ExitCode::kInput,
                fmt::format("{}: the weights do not fit: {}", found.path, error.what()),
                "more ranks that share the model (--tensor), or a higher --memory-limit, may help");
  }
}

std::shared_ptr<const Tokenizer> load_model_tokenizer(FileSystem& files, const std::string& path) {
  const auto has = [&](const char* name) { return files.exists(join_path(path, name)); };
  if (!has("run.json") && !has("manifest.json")) return load_tokenizer(path);
  return CheckpointReader(files, find_model(files, path).path, CheckpointReader::Need::kModel)
      .tokenizer();
}

}  // namespace heddle
