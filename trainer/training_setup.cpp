#include "trainer/training_setup.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "framework/device/profile.h"
#include "framework/io/json.h"
#include "framework/ops/precision_speed.h"
#include "models/hf/config.h"
#include "models/hf/import.h"
#include "trainer/checkpointing.h"

namespace heddle {
namespace {

ClassifierConfig from_architecture(const ArchitectureConfig& a, const Tokenizer& tokenizer) {
  ClassifierConfig c;
  c.family = a.family;
  c.vocabulary = tokenizer.id_bound();
  c.hidden_size = a.hidden_size;
  c.layers = a.layers;
  c.heads = a.heads;
  c.intermediate_size = a.intermediate_size;
  c.max_positions = a.max_positions;
  c.token_types = a.family == "distilbert" ? 0 : a.type_vocab.value_or(2);
  c.embedding_size = a.embedding_size.value_or(0);
  if (c.embedding_size == c.hidden_size) c.embedding_size = 0;
  c.layer_norm_eps = static_cast<float>(a.layer_norm_eps);
  c.deviation = static_cast<float>(a.initializer_range);
  c.padding_id = std::max(0, tokenizer.pad_id());
  return c;
}

void apply_dropout(const DropoutConfig& dropout, ClassifierConfig& c) {
  if (dropout.hidden) c.hidden_dropout = static_cast<float>(*dropout.hidden);
  if (dropout.attention) c.attention_dropout = static_cast<float>(*dropout.attention);
  if (dropout.head) c.head_dropout = static_cast<float>(*dropout.head);
}

void require_fit(const Config& config, const TrainingModel& t) {
  if (config.data.max_length > t.config.max_positions) {
    throw Error(ExitCode::kInput,
                fmt::format("data.max_length is {}, but the model has {} positions",
                            config.data.max_length, t.config.max_positions),
                fmt::format("set data.max_length to {} or less", t.config.max_positions));
  }
  require_vocabulary(*t.tokenizer, t.config);
}

void fill_from_folder(FileSystem& files, const std::string& folder, const Config& config,
                      TrainingModel& t) {
  const auto weights = std::make_shared<SafetensorsFile>(SafetensorsFile::open(files, folder));
  const ImportReport report =
      import_weights(weights, t.config, named_parameters(*t.model),
                     {.fresh_head_allowed = true, .seed = static_cast<uint64_t>(config.seed)});
  if (!report.fresh.empty()) {
    t.notes.push_back(
        fmt::format("a fresh head: {} start at random", fmt::join(report.fresh, ", ")));
  }
  if (!report.dropped.empty()) {
    t.notes.push_back(fmt::format("not used: {}", fmt::join(report.dropped, ", ")));
  }
  t.source_files = weights->paths();
}

}  // namespace

Precision configured_precision(const Config& config) {
  return config.precision == "auto" ? fastest_safe_precision()
                                    : precision_from_name(config.precision);
}

DataSource data_source(const DataFileConfig& part, const DataFileConfig& train) {
  const bool all_numbers = [&] {
    for (const auto& column : {part.text.value_or(train.text.value_or("")),
                               part.label.value_or(train.label.value_or("label"))}) {
      if (!parse_integer(column)) return false;
    }
    return true;
  }();
  DataSource source;
  source.paths = part.path;
  source.text = part.text.value_or(train.text.value_or(""));
  source.pair = part.pair.value_or(train.pair.value_or(""));
  source.label = part.label.value_or(train.label.value_or("label"));
  source.header = part.header.value_or(train.header.value_or(!all_numbers));
  return source;
}

namespace {

// A model and where its parameters come from: neither, at random.
struct DescribedModel {
  TrainingModel model;
  std::optional<ModelPath> from;
  std::unique_ptr<CheckpointReader> checkpoint;
};

DescribedModel describe(FileSystem& files, const Config& config) {
  DescribedModel described;
  auto& [t, from, checkpoint] = described;
  std::optional<ClassifierConfig> known;  // what the model says of itself
  if (config.model.from) {
    from = find_model(files, *config.model.from);
    if (from->kind == ModelPath::Kind::kHuggingFace) {
      const std::string path = join_path(from->path, "config.json");
      known = parse_config(read_json(files, path), path);
      t.tokenizer = load_tokenizer(config.model.tokenizer.value_or(from->path));
    } else {
      checkpoint =
          std::make_unique<CheckpointReader>(files, from->path, CheckpointReader::Need::kModel);
      known = checkpoint->config();
      t.tokenizer = checkpoint->tokenizer();
    }
    t.config = *known;
  } else {
    t.tokenizer = load_tokenizer(*config.model.tokenizer);
    t.config = from_architecture(*config.model.architecture, *t.tokenizer);
  }
  apply_dropout(config.model.dropout, t.config);
  t.config.recompute = config.memory.recompute == "layer"       ? Recompute::kLayer
                       : config.memory.recompute == "attention" ? Recompute::kAttention
                                                                : Recompute::kNone;
  t.config.precision = configured_precision(config);

  const DataSource train = data_source(config.data.train, config.data.train);
  const LabelDecision decision =
      decide_labels(config.model.head, known ? &*known : nullptr, train, config.data.skip_bad);
  t.config.problem = decision.problem;
  t.config.labels = decision.labels;
  t.task.emplace(decision.problem, decision.labels, config.training.label_smoothing);
  t.text = {.max_length = config.data.max_length,
            .truncation = config.data.truncation,
            .stride = config.data.stride,
            .text_column = train.text,
            .pair_column = train.pair,
            .label_column = train.label};
  require_fit(config, t);
  return described;
}

}  // namespace

void mark_trainable(const TrainedPart& part, int64_t layers, const ParameterArena& arena) {
  if (part.kind == TrainedPart::Kind::kAll) return;
  std::vector<std::string> prefixes = {"head."};
  const int64_t kept = part.kind == TrainedPart::Kind::kLayers ? std::min(part.layers, layers) : 0;
  for (int64_t i = layers - kept; i < layers; ++i) {
    prefixes.push_back(fmt::format("encoder.layers.{}.", i));
  }
  for (const ParameterArena::Entry& entry : arena.entries()) {
    entry.parameter->trainable = std::ranges::any_of(
        prefixes, [&](const std::string& prefix) { return entry.name.starts_with(prefix); });
  }
}

TrainingModel describe_training_model(FileSystem& files, const Config& config) {
  return describe(files, config).model;
}

Stream stream_of(const ParallelConfig& parallel) {
  return parallel.sequence ? Stream::kSplit : Stream::kWhole;
}

TrainingModel make_training_model(FileSystem& files, const Config& config, const Device& device,
                                  const Group& group) {
  const ProfiledStage span("load model");
  auto [t, from, checkpoint] = describe(files, config);
  require_slices(t.config, group);
  t.model = std::make_unique<Classifier>(t.config, group);
  t.arena = std::make_unique<ParameterArena>(*t.model, device);
  if (checkpoint)
    checkpoint->fill(*t.arena, config.seed, t.notes);
  else if (from)
    fill_from_folder(files, from->path, config, t);
  else
    initialize(*t.arena, static_cast<uint64_t>(config.seed));
  mark_trainable(config.model.train, t.config.layers, *t.arena);
  return std::move(t);
}

SamplerOptions sampler_options(const Config& config, int64_t leaves) {
  const int64_t size = config.batch.size.value_or(0);
  return {.seed = static_cast<uint64_t>(config.seed),
          .sequences = size,
          .tokens = config.batch.tokens.value_or(0),
          .leaves = leaves,
          .length_window = config.training.group_by_length ? 50 * std::max<int64_t>(size, 32) : 0};
}

TokenizedSource tokenized_source(const Config& config, const TrainingModel& model,
                                 const DataFileConfig& part) {
  const EncodeOptions encode = model.text.encode_options();
  LabelSet labels =
      model.task->problem() == Problem::kRegression ? LabelSet() : model.task->labels();
  if (config.model.from && !config.model.head.labels) {
    labels.set_advice(
        "these are the model's own; model.head.labels: [...] starts a fresh head "
        "with others");
  }
  return {.data = data_source(part, config.data.train),
          .label_kind = model.task->label_kind(),
          .labels = std::move(labels),
          .numbers = model.task->outputs(),
          .skip_bad = config.data.skip_bad,
          .make_tokenizer = row_tokenizers(model.tokenizer, encode),
          .tokenizer_fingerprint = tokenizer_fingerprint(*model.tokenizer, encode),
          .id_bound = model.tokenizer->id_bound()};
}

TrainingData open_training_data(FileSystem& files, const Config& config, const TrainingModel& model,
                                const std::string& cache_folder, ThreadPool& pool,
                                Communicator& world) {
  const ProfiledStage span("read data");
  std::vector<std::pair<std::string, std::string>> keys;
  const auto open = [&](const std::string& name, const DataFileConfig& part) {
    const TokenizedSource source = tokenized_source(config, model, part);
    const std::string key = TokenizedDataset::key(files, source);
    const std::string path = join_path(cache_folder, key + ".tokens");
    if (world.rank() == 0 && !TokenizedDataset::is_valid(files, path, key)) {
      make_directories(files, cache_folder);
      TokenizedDataset::build(files, path, key, source, pool);
    }
    world.barrier("tokenizing " + name);
    keys.emplace_back(name, key);
    return TokenizedDataset::open(files, path, key);
  };
  TrainingData data{open("train", config.data.train), {}, {}, {}};
  if (config.data.validation) data.validation = open("validation", *config.data.validation);
  if (config.data.test) data.test = open("test", *config.data.test);
  data.keys = std::move(keys);
  return data;
}

}  // namespace heddle
