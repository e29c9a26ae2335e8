#include "models/hf/config.h"

#include "models/hf/family.h"
#include "models/hf/tensor_names.h"
#include "tests/models/small_model.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

Json bert() {
  return config_json(small_config());
}

ClassifierConfig parsed(const Json& json) {
  return parse_config(json, "m/config.json");
}

TEST(Config, ReadsBackWhatItWrites) {
  for (const char* family : {"bert", "distilbert", "electra"}) {
    ClassifierConfig config = small_config(family);
    config.problem = Problem::kMultiLabel;
    config.layer_norm_eps = 1e-12f;
    config.activation = Activation::kRelu;
    config.head_dropout = 0.3f;
    config.padding_id = 4;
    const ClassifierConfig back = parsed(config_json(config));
    EXPECT_EQ(config_json(back), config_json(config)) << family;
    EXPECT_EQ(back.embedding_size, config.embedding_size);
    EXPECT_EQ(back.token_types, config.token_types);
    EXPECT_EQ(back.head_dropout, 0.3f);
  }
}

TEST(Config, NumbersAreTheShortestThatReadBack) {
  EXPECT_EQ(dump_json(bert()["hidden_dropout_prob"]), "0.1");
  EXPECT_EQ(dump_json(bert()["layer_norm_eps"]), "1e-12");
}

TEST(Config, LabelsAndProblemHaveDefaults) {
  Json json = bert();
  json.erase("id2label");
  json.erase("problem_type");
  EXPECT_EQ(parsed(json).labels, (std::vector<std::string>{"LABEL_0", "LABEL_1"}));
  EXPECT_EQ(parsed(json).problem, Problem::kSingleLabel);
  json["num_labels"] = 1;
  EXPECT_EQ(parsed(json).labels, (std::vector<std::string>{"LABEL_0"}));
  EXPECT_EQ(parsed(json).problem, Problem::kRegression);
  json.erase("num_labels");
  json["id2label"] = {{"1", "x"}, {"0", "y"}};
  EXPECT_EQ(parsed(json).labels, (std::vector<std::string>{"y", "x"}));
}

TEST(Config, TheHeadsDropoutFollowsTheFamily) {
  Json json = bert();
  json.erase("classifier_dropout");
  json["hidden_dropout_prob"] = 0.25;
  EXPECT_EQ(parsed(json).head_dropout, 0.25f);
  Json distil = config_json(small_config("distilbert"));
  distil.erase("seq_classif_dropout");
  EXPECT_EQ(parsed(distil).head_dropout, 0.2f);
}

TEST(Config, RefusesWhatIsNoModel) {
  EXPECT_HEDDLE_ERROR(parsed(Json::array()), ExitCode::kInput, "m/config.json: no 'model_type'");
  Json json = bert();
  json["model_type"] = "berd";
  EXPECT_HEDDLE_ERROR(parsed(json), ExitCode::kInput,
                      "m/config.json: model family 'berd': not yet");
  try {
    parsed(json);
  } catch (const Error& error) {
    EXPECT_NE(error.hint().find("'bert'"), std::string::npos) << error.hint();
  }
}

// A config with one attribute changed, and what the message says.
struct Refusal {
  const char* key;
  Json value;
  const char* fragment;
};

TEST(Config, RefusesWhatWouldChangeTheArithmetic) {
  const std::vector<Refusal> refusals = {
      {"position_embedding_type", "relative_key",
       "'position_embedding_type' is \"relative_key\": not yet"},
      {"is_decoder", true, "'is_decoder' is true: not yet"},
      {"quantization_config", {{"bits", 4}}, "'quantization_config' is {\"bits\":4}: not yet"},
      {"hidden_act", "gelu_new", "'hidden_act' is 'gelu_new': not yet"},
      {"problem_type", "single_label", "'problem_type' is 'single_label'"},
      {"num_attention_heads", 3, "'num_attention_heads' is 3 and does not divide hidden_size = 32"},
      {"hidden_dropout_prob", 1.0, "'hidden_dropout_prob' is 1. Expected 0 <= p < 1"},
      {"hidden_size", 0, "'hidden_size'"},
      {"vocab_size", "many", "'vocab_size' is a string"},
      {"id2label",
       {{"0", "x"}, {"2", "y"}},
       "'id2label' has 2 labels and no '1'. Expected the keys 0 to 1"},
      {"id2label", Json::object(), "'id2label' is empty. Expected one label or more"},
      {"pad_token_id", 99, "'pad_token_id'"}};
  for (const Refusal& refusal : refusals) {
    Json json = bert();
    json[refusal.key] = refusal.value;
    EXPECT_HEDDLE_ERROR(parsed(json), ExitCode::kInput, refusal.fragment);
  }
}

TEST(Config, WhatChangesNothingIsIgnored) {
  Json json = bert();
  json["pruned_heads"] = Json::object();
  json["is_decoder"] = false;
  json["quantization_config"] = nullptr;
  json["torch_dtype"] = "bfloat16";
  json["_name_or_path"] = "x";
  EXPECT_EQ(parsed(json).hidden_size, 32);
}

TEST(TensorNames, FollowTheFamilysTable) {
  EXPECT_EQ(their_names(bert_family(), "encoder.layers.11.attention.query_key_value.bias"),
            (std::vector<std::string>{"encoder.layer.11.attention.self.query.bias",
                                      "encoder.layer.11.attention.self.key.bias",
                                      "encoder.layer.11.attention.self.value.bias"}));
  EXPECT_EQ(full_name(bert_family(), "pooler.dense.bias"), "bert.pooler.dense.bias");
  EXPECT_EQ(full_name(bert_family(), "classifier.bias"), "classifier.bias");
  EXPECT_EQ(full_name(distilbert_family(), "pre_classifier.bias"), "pre_classifier.bias");
  EXPECT_EQ(their_names(electra_family(), "head.out.weight"),
            (std::vector<std::string>{"classifier.out_proj.weight"}));
}

TEST(TensorNames, HaveARuleForEveryParameter) {
  for (const char* family : {"bert", "distilbert", "electra"}) {
    Classifier model(small_config(family));
    for (const auto& [name, parameter] : named_parameters(model)) {
      EXPECT_NO_THROW(their_names(family_named(family, "test"), name)) << name;
    }
  }
  for (const char* name : {"encoder.layers.attention.output.weight", "encoder.layers.1",
                           "head.outer.weight", "decoder.weight"}) {
    EXPECT_INVALID(their_names(bert_family(), name),
                   fmt::format("[hf] the table of 'bert' has no rule for '{}'.", name));
  }
}

}  // namespace
}  // namespace heddle
