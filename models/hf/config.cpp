#include "models/hf/config.h"

#include <fmt/ranges.h>
#include <algorithm>
#include <array>

#include "framework/core/nearest_name.h"
#include "models/hf/family.h"

namespace heddle {
namespace {

struct NamedActivation {
  Activation activation;
  std::string_view name;
};
constexpr std::array<NamedActivation, 3> kActivations = {
    {{Activation::kGelu, "gelu"}, {Activation::kRelu, "relu"}, {Activation::kTanh, "tanh"}}};

struct NamedProblem {
  Problem problem;
  std::string_view name;
};
constexpr std::array<NamedProblem, 3> kProblems = {
    {{Problem::kSingleLabel, "single_label_classification"},
     {Problem::kMultiLabel, "multi_label_classification"},
     {Problem::kRegression, "regression"}}};

void refuse_what_changes_the_arithmetic(const JsonView& config, const Family& family) {
  for (const FixedAttribute& attribute : family.fixed) {
    if (!config.has(attribute.name)) continue;
    const std::string value = dump_json(config[attribute.name].raw());
    if (std::ranges::find(attribute.allowed, value) != attribute.allowed.end()) continue;
    throw config[attribute.name].error(
        fmt::format("is {}: not yet", value),
        attribute.allowed.empty() ? ""
                                  : fmt::format("known: {}", fmt::join(attribute.allowed, ", ")));
  }
}

Activation parse_activation(const JsonView& attribute) {
  std::vector<std::string> known;
  for (const auto& [activation, name] : kActivations) {
    if (attribute.string() == name) return activation;
    known.emplace_back(name);
  }
  throw attribute.error(fmt::format("is '{}': not yet", attribute.string()),
                        fmt::format("known: {}", fmt::join(known, ", ")));
}

// id2label: {"0": "NEGATIVE", "1": "POSITIVE"}, in any order of keys.
std::vector<std::string> parse_labels(const JsonView& config) {
  if (!config.has("id2label")) {
    std::vector<std::string> labels(config.get_or<size_t>("num_labels", 2));
    for (size_t i = 0; i < labels.size(); ++i) labels[i] = fmt::format("LABEL_{}", i);
    return labels;
  }
  const JsonView map = config["id2label"];
  std::vector<std::string> labels(map.keys().size());
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!map.has(std::to_string(i))) {
      throw map.error(fmt::format("has {} labels and no '{}'. Expected the keys 0 to {}",
                                  labels.size(), i, labels.size() - 1));
    }
    labels[i] = map[std::to_string(i)].string();
  }
  if (labels.empty()) throw map.error("is empty. Expected one label or more");
  return labels;
}

Problem parse_problem(const JsonView& config, size_t outputs) {
  if (!config.has("problem_type")) {
    return outputs == 1 ? Problem::kRegression : Problem::kSingleLabel;
  }
  const JsonView attribute = config["problem_type"];
  std::vector<std::string> known;
  for (const auto& [problem, name] : kProblems) {
    if (attribute.string() == name) return problem;
    known.emplace_back(name);
  }
  throw attribute.error(fmt::format("is '{}'", attribute.string()),
                        did_you_mean(attribute.string(), known));
}

}  // namespace

ClassifierConfig parse_config(const Json& document, const std::string& name) {
  const JsonView config(document, name);
  if (!config.is_object() || !config.has("model_type")) {
    throw Error(ExitCode::kInput, fmt::format("{}: no 'model_type'", name),
                "this file must describe a Hugging Face model");
  }
  const Family& family = family_named(config.get<std::string>("model_type"), name);
  refuse_what_changes_the_arithmetic(config, family);

  ClassifierConfig c;
  c.family = family.model_type;
  constexpr int64_t kMost = int64_t{1} << 24;
  const auto size = [&](const std::string& key) { return config[key].integer(1, kMost); };
  c.vocabulary = size("vocab_size");
  c.hidden_size = size(family.hidden_size);
  c.layers = size(family.layers);
  c.heads = size(family.heads);
  c.intermediate_size = size(family.intermediate_size);
  c.max_positions = size("max_position_embeddings");
  c.token_types = family.has_token_types ? size("type_vocab_size") : 0;
  if (family.has_embedding_size) c.embedding_size = size("embedding_size");
  if (c.embedding_size == c.hidden_size) c.embedding_size = 0;
  if (c.hidden_size % c.heads != 0) {
    throw config[family.heads].error(fmt::format("is {} and does not divide {} = {}", c.heads,
                                                 family.hidden_size, c.hidden_size));
  }
  if (family.has_norm_eps) {
    c.layer_norm_eps = config.get_or("layer_norm_eps", 1e-12f);
    if (!(c.layer_norm_eps > 0 && c.layer_norm_eps < 1)) {
      throw config["layer_norm_eps"].error(
          fmt::format("is {}. Expected more than 0 and less than 1", c.layer_norm_eps));
    }
  }
  if (config.has(family.activation)) c.activation = parse_activation(config[family.activation]);
  c.padding_id = static_cast<int>(
      config.has("pad_token_id") ? config["pad_token_id"].integer(0, c.vocabulary - 1) : 0);
  c.deviation = config.get_or("initializer_range", 0.02f);
  if (!(c.deviation >= 0 && c.deviation < 1e6f)) {
    throw config["initializer_range"].error(
        fmt::format("is {}. Expected a standard deviation, such as 0.02", c.deviation));
  }

  const auto probability = [&](const std::string& key, float otherwise) {
    const float p = config.get_or(key, otherwise);
    if (!(p >= 0 && p < 1)) throw config[key].error(fmt::format("is {}. Expected 0 <= p < 1", p));
    return p;
  };
  c.hidden_dropout = probability(family.hidden_dropout, 0.1f);
  c.attention_dropout = probability(family.attention_dropout, 0.1f);
  c.head_dropout =
      probability(family.head_dropout, family.has_token_types ? c.hidden_dropout : 0.2f);

  c.labels = parse_labels(config);
  c.problem = parse_problem(config, c.labels.size());
  return c;
}

Json config_json(const ClassifierConfig& c) {
  const Family& family = family_named(c.family, "model");
  Json json;
  json["model_type"] = family.model_type;
  json["architectures"] = {family.architecture};
  json["dtype"] = "float32";
  json["vocab_size"] = c.vocabulary;
  json[family.hidden_size] = c.hidden_size;
  json[family.layers] = c.layers;
  json[family.heads] = c.heads;
  json[family.intermediate_size] = c.intermediate_size;
  json[family.activation] =
      std::ranges::find(kActivations, c.activation, &NamedActivation::activation)->name;
  json["max_position_embeddings"] = c.max_positions;
  if (family.has_token_types) json["type_vocab_size"] = c.token_types;
  if (family.has_embedding_size) {
    json["embedding_size"] = c.embedding_size ? c.embedding_size : c.hidden_size;
  }
  // As decimal text that reads back as the same float, not as the double nearest to it.
  const auto decimal = [](float value) { return parse_json(fmt::format("{}", value), "number"); };
  if (family.has_norm_eps) json["layer_norm_eps"] = decimal(c.layer_norm_eps);
  json["pad_token_id"] = c.padding_id;
  json["initializer_range"] = decimal(c.deviation);
  json[family.hidden_dropout] = decimal(c.hidden_dropout);
  json[family.attention_dropout] = decimal(c.attention_dropout);
  json[family.head_dropout] = decimal(c.head_dropout);
  json["problem_type"] = std::ranges::find(kProblems, c.problem, &NamedProblem::problem)->name;
  for (size_t i = 0; i < c.labels.size(); ++i) {
    json["id2label"][std::to_string(i)] = c.labels[i];
    json["label2id"][c.labels[i]] = i;
  }
  for (const auto& [key, text] : family.constants) json[key] = parse_json(text, key);
  return json;
}

}  // namespace heddle
