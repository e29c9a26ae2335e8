#include "trainer/config/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>

#include "framework/core/nearest_name.h"
#include "trainer/config/metric_names.h"

namespace heddle {
namespace {

constexpr std::int64_t kDefaultBatchSize = 32;
constexpr std::int64_t kDefaultEpochs = 3;
constexpr std::int64_t kSpecialTokens = 2;  // at least: [CLS] and [SEP]

bool is_number(const std::optional<std::string>& column) {
  return !column ||
         (!column->empty() && column->find_first_not_of("0123456789") == std::string::npos);
}

void inherit_columns(const DataFileConfig& train, std::optional<DataFileConfig>& file) {
  if (!file) return;
  if (!file->text) file->text = train.text;
  if (!file->pair) file->pair = train.pair;
  if (!file->label) file->label = train.label;
  if (!file->header) file->header = train.header;
}

void check_model(const ModelConfig& model, Problems& problems) {
  if (model.from && model.architecture) {
    problems.add_at("model.architecture",
                    "'model.from' and 'model.architecture' exclude each other; remove one");
  }
  if (!model.from && !model.architecture) {
    problems.add_at("model",
                    "'model' needs 'from', a folder with weights to start from, or "
                    "'architecture' for a new model");
  }
  if (model.architecture && !model.tokenizer) {
    problems.add_at("model.architecture",
                    "'model.architecture' needs 'model.tokenizer', a tokenizer.json or vocab.txt");
  }
  if (model.from && model.tokenizer) {
    problems.add_at(
        "model.tokenizer",
        "'model.tokenizer' goes with 'model.architecture'; 'model.from' brings its own");
  }
}

void check_architecture(const Config& config, Problems& problems) {
  if (!config.model.architecture) return;
  const ArchitectureConfig& a = *config.model.architecture;
  if (a.hidden_size % a.heads != 0) {
    problems.add_at(
        "model.architecture.heads",
        fmt::format("'hidden_size' is {}, no multiple of {} 'heads'", a.hidden_size, a.heads));
  }
  if (a.embedding_size && a.family != "electra") {
    problems.add_at(
        "model.architecture.embedding_size",
        fmt::format("'embedding_size' is a key of electra; the family is {}", a.family));
  }
  if (a.type_vocab && a.family == "distilbert") {
    problems.add_at("model.architecture.type_vocab", "distilbert has no token types");
  }
  if (config.data.max_length > a.max_positions) {
    problems.add_at("data.max_length",
                    fmt::format("'data.max_length' is {}, but the model has {} positions "
                                "('model.architecture.max_positions')",
                                config.data.max_length, a.max_positions));
  }
  const TrainedPart& train = config.model.train;
  if (train.kind == TrainedPart::Kind::kLayers && train.layers > a.layers) {
    problems.add_at("model.train", fmt::format("'model.train' asks for the last {} of {} layers",
                                               train.layers, a.layers));
  }
}

void check_head(const Config& config, Problems& problems) {
  const HeadConfig& head = config.model.head;
  if (head.labels) {
    const std::set<std::string> names(head.labels->begin(), head.labels->end());
    if (names.size() != head.labels->size()) {
      problems.add_at("model.head.labels", "'model.head.labels' names a label twice");
    }
    const bool one_class = head.problem == "single_label" || head.problem == "auto";
    const size_t fewest = one_class ? 2 : 1;
    if (names.size() < fewest) {
      problems.add_at("model.head.labels", fmt::format("'model.head.labels' has {}. Expected at "
                                                       "least {}",
                                                       names.size(), fewest));
    }
  }
  const bool several = head.problem == "multi_label" || head.problem == "regression";
  if (several && config.training.label_smoothing > 0) {
    problems.add_at("training.label_smoothing",
                    fmt::format("'training.label_smoothing' goes with single_label; "
                                "'model.head.problem' is {}",
                                head.problem));
  }
}

void check_data(const Config& config, Problems& problems) {
  const DataConfig& data = config.data;
  if (data.stride > 0 && data.stride >= data.max_length - kSpecialTokens) {
    problems.add_at("data.stride", fmt::format("'data.stride' is {}. Expected less than "
                                               "'data.max_length' without special tokens, {}",
                                               data.stride, data.max_length - kSpecialTokens));
  }
  if (data.truncation == "only_second" && !data.train.pair) {
    problems.add_at("data.truncation",
                    "'data.truncation' is only_second, but 'data.train.pair' names no second text");
  }
  const auto check_columns = [&](const DataFileConfig& file, const std::string& path) {
    const std::set<std::optional<std::string>> columns{file.text, file.label};
    if (columns.size() < 2 || (file.pair && columns.contains(file.pair))) {
      problems.add_at(path,
                      fmt::format("'{}' uses one column for two of text, pair and label", path));
    }
    if (file.header == false &&
        !(is_number(file.text) && is_number(file.pair) && is_number(file.label))) {
      problems.add_at(path + ".header",
                      fmt::format("'{}.header' is false: columns have numbers, not names", path));
    }
  };
  check_columns(data.train, "data.train");
  if (data.validation) check_columns(*data.validation, "data.validation");
  if (data.test) check_columns(*data.test, "data.test");
}

void check_length_of_training(const Config& config, Problems& problems) {
  if (config.batch.size && config.batch.tokens) {
    problems.add_at("batch.tokens",
                    "'batch.size' and 'batch.tokens' exclude each other; remove "
                    "one");
  }
  if (config.training.epochs && config.training.steps) {
    problems.add_at("training.steps",
                    "'training.epochs' and 'training.steps' exclude each other; "
                    "remove one");
  }
  const auto longest_fits = [&](const std::optional<std::int64_t>& tokens, const char* path) {
    if (tokens && *tokens < config.data.max_length) {
      problems.add_at(path, fmt::format("'{}' is {}, less than one text of 'data.max_length', {}",
                                        path, *tokens, config.data.max_length));
    }
  };
  longest_fits(config.batch.tokens, "batch.tokens");
  longest_fits(config.batch.micro_tokens, "batch.micro_tokens");
}

void check_optimizer(const Config& config, Problems& problems) {
  const OptimizerConfig& optimizer = config.optimizer;
  const OptimizerConfig defaults;
  if (optimizer.name == "adamw" && optimizer.momentum != 0) {
    problems.add_at("optimizer.momentum", "'momentum' is a key of sgd; adamw has 'betas'");
  }
  if (optimizer.name == "sgd" && optimizer.betas != defaults.betas) {
    problems.add_at("optimizer.betas", "'betas' is a key of adamw; sgd has 'momentum'");
  }
  if (optimizer.name == "sgd" && optimizer.eps != defaults.eps) {
    problems.add_at("optimizer.eps", "'eps' is a key of adamw");
  }
  const ScheduleConfig& schedule = config.schedule;
  if (schedule.name != "wsd" && schedule.decay != ScheduleConfig().decay) {
    problems.add_at("schedule.decay",
                    fmt::format("'decay' is a key of wsd; the schedule is {}", schedule.name));
  }
  const bool falls_to_end = schedule.name != "constant" && schedule.name != "inverse_sqrt";
  if (!falls_to_end && schedule.end != 0) {
    problems.add_at(
        "schedule.end",
        fmt::format("'end' is a key of linear, cosine and wsd; the schedule is {}", schedule.name));
  }
}

void check_metrics(const Config& config, Problems& problems) {
  const std::string& problem = config.model.head.problem;
  const auto check_metric = [&](const std::optional<std::string>& metric, const char* path) {
    if (!metric) return;
    if (!config.data.validation) {
      problems.add_at(path, fmt::format("'{}' is {}, but there are no rows in 'data.validation'",
                                        path, *metric));
    }
    if (problem == "auto") return;
    const std::vector<std::string> known = metric_names_of(problem);
    if (std::find(known.begin(), known.end(), *metric) == known.end()) {
      problems.add_at(path, fmt::format("'{}' is {}, which {} does not have; {}", path, *metric,
                                        problem, did_you_mean(*metric, known)));
    }
  };
  check_metric(config.checkpoint.best, "checkpoint.best");
  if (!config.training.early_stop) return;
  check_metric(config.training.early_stop->metric, "training.early_stop.metric");
  if (!config.data.validation && !config.training.early_stop->metric) {
    problems.add_at("training.early_stop", "'training.early_stop' needs rows in 'data.validation'");
  }
  if (config.training.evaluate_every == Every{}) {
    problems.add_at("training.evaluate_every",
                    "'training.evaluate_every' is never, but 'training.early_stop' waits for "
                    "evaluations");
  }
}

// The slices of each matrix, and the ranks that share them.
void check_slices(const Config& config, Problems& problems) {
  const int64_t ranks = config.parallel.tensor;
  const int64_t slices = config.numerics.tensor.value_or(ranks);
  const char* key = config.numerics.tensor ? "numerics.tensor" : "parallel.tensor";
  if (config.numerics.mode == "fast") {
    if (slices == ranks) return;
    problems.add_at(key, fmt::format("'numerics.tensor' is {}, 'parallel.tensor' {}. Expected the "
                                     "same, or no 'numerics.tensor', in 'numerics.mode: fast'",
                                     slices, ranks));
  } else if (!std::has_single_bit(static_cast<std::uint64_t>(slices))) {
    problems.add_at(key, fmt::format("'{}' is {}. Expected a power of two, or 'numerics.mode: fast'",
                                     key, slices));
  } else if (slices % ranks != 0) {
    problems.add_at("parallel.tensor",
                    fmt::format("'parallel.tensor' is {}. Expected a divisor of 'numerics.tensor', "
                                "{}, or 'numerics.mode: fast'",
                                ranks, slices));
  }
}

void check_ranks(const Config& config, Problems& problems) {
  const NumericsConfig& numerics = config.numerics;
  if (!std::has_single_bit(static_cast<std::uint64_t>(numerics.data))) {
    problems.add_at("numerics.data",
                    fmt::format("'numerics.data' is {}. Expected a power of two", numerics.data));
  } else if (numerics.mode != "fast" && config.parallel.data &&
             numerics.data % *config.parallel.data != 0) {
    problems.add_at("parallel.data",
                    fmt::format("'parallel.data' is {}. Expected a divisor of 'numerics.data', {}, "
                                "or 'numerics.mode: fast'",
                                *config.parallel.data, numerics.data));
  }
  check_slices(config, problems);
}

}  // namespace

void resolve(Config& config) {
  if (!config.batch.size && !config.batch.tokens) config.batch.size = kDefaultBatchSize;
  if (!config.training.epochs && !config.training.steps) config.training.epochs = kDefaultEpochs;
  DataFileConfig& train = config.data.train;
  if (!train.text) train.text = "text";
  if (!train.label) train.label = "label";
  if (!train.header) {
    train.header = !(is_number(train.text) && is_number(train.pair) && is_number(train.label));
  }
  inherit_columns(train, config.data.validation);
  inherit_columns(train, config.data.test);
}

void check_together(const Config& config, Problems& problems) {
  check_model(config.model, problems);
  check_architecture(config, problems);
  check_head(config, problems);
  check_data(config, problems);
  check_length_of_training(config, problems);
  check_optimizer(config, problems);
  check_metrics(config, problems);
  check_ranks(config, problems);
}

}  // namespace heddle
