// The part of a run's config that says what is trained. See schema.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trainer/config/field.h"
#include "trainer/config/values.h"

namespace heddle {

// An encoder from scratch; its vocabulary has the size of the tokenizer.
struct ArchitectureConfig {
  std::string family = "bert";
  std::int64_t hidden_size = 128;
  std::int64_t layers = 2;
  std::int64_t heads = 4;
  std::int64_t intermediate_size = 512;
  std::int64_t max_positions = 512;
  std::optional<std::int64_t> embedding_size;
  std::optional<std::int64_t> type_vocab;
  double layer_norm_eps = 1e-12;
  double initializer_range = 0.02;

  template <class F>
  void visit(F& f) {
    f("family", family,
      Field("the kind of encoder")
          .one_of({"bert", "distilbert", "electra"})
          .planned({"roberta", "xlm-roberta", "modernbert", "gpt2", "llama", "mistral", "qwen2",
                    "qwen3", "t5", "bart", "marian"})
          .also_called({"model_type", "type"}));
    f("hidden_size", hidden_size,
      Field("width of the hidden states, a multiple of heads")
          .at_least(1)
          .at_most(65536)
          .also_called({"dim", "d_model"}));
    f("layers", layers,
      Field("encoder layers")
          .at_least(1)
          .at_most(1000)
          .also_called({"num_layers", "num_hidden_layers", "n_layers"}));
    f("heads", heads,
      Field("attention heads of a layer")
          .at_least(1)
          .at_most(1024)
          .also_called({"num_heads", "num_attention_heads", "n_heads"}));
    f("intermediate_size", intermediate_size,
      Field("width inside the feed-forward part")
          .at_least(1)
          .at_most(1 << 20)
          .also_called({"hidden_dim", "feed_forward_size"}));
    f("max_positions", max_positions,
      Field("longest sequence")
          .at_least(3)
          .at_most(1 << 20)
          .unit("tokens")
          .also_called({"max_position_embeddings"}));
    f("embedding_size", embedding_size,
      Field("electra: width of the embeddings; auto: hidden_size")
          .at_least(1)
          .at_most(65536)
          .empty_word("auto"));
    f("type_vocab", type_vocab,
      Field("bert, electra: kinds of token types; auto: 2")
          .at_least(1)
          .at_most(1024)
          .empty_word("auto")
          .also_called({"type_vocab_size"}));
    f("layer_norm_eps", layer_norm_eps,
      Field("added to the variance in a layer norm").above(0).at_most(1));
    f("initializer_range", initializer_range,
      Field("standard deviation of new weights").above(0).at_most(10));
  }
  bool operator==(const ArchitectureConfig&) const = default;
};

struct HeadConfig {
  std::string task = "sequence_classification";
  std::optional<std::vector<std::string>> labels;
  std::string problem = "auto";

  template <class F>
  void visit(F& f) {
    f("task", task,
      Field("the kind of answer")
          .one_of({"sequence_classification"})
          .planned({"token_classification", "masked_language_model", "language_model",
                    "sequence_to_sequence"}));
    f("labels", labels,
      Field("names of the classes in the order of their numbers; auto: those of the model's "
            "config.json, else the sorted names in the training file")
          .empty_word("auto")
          .also_called({"label_names", "classes", "num_labels"}));
    f("problem", problem,
      Field("auto: as the model's config.json says, else single_label")
          .one_of({"auto", "single_label", "multi_label", "regression"})
          .also_called({"problem_type"}));
  }
  bool operator==(const HeadConfig&) const = default;
};

struct DropoutConfig {
  std::optional<double> hidden;
  std::optional<double> attention;
  std::optional<double> head;

  template <class F>
  void visit(F& f) {
    f("hidden", hidden,
      probability("of the hidden states; auto: as the model's config.json says, else 0.1")
          .also_called({"hidden_dropout_prob"}));
    f("attention", attention,
      probability("of the attention weights; auto: as the model's config.json says, else 0.1")
          .also_called({"attention_probs_dropout_prob"}));
    f("head", head,
      probability("before the last layer; auto: as the model's config.json says, else 0.1")
          .also_called({"classifier", "classifier_dropout"}));
  }
  bool operator==(const DropoutConfig&) const = default;

 private:
  static Field probability(const char* meaning) {
    return Field(meaning).at_least(0).below(1).empty_word("auto");
  }
};

// Exactly one of `from` and `architecture` is set in a config that was read, and `tokenizer` goes
// with the latter.
struct ModelConfig {
  std::optional<std::string> from;
  std::optional<ArchitectureConfig> architecture;
  std::optional<std::string> tokenizer;
  HeadConfig head;
  DropoutConfig dropout;
  TrainedPart train;

  template <class F>
  void visit(F& f) {
    f("from", from,
      Field("weights to start from: a Hugging Face folder, a run or a checkpoint")
          .example("models/pretrained/minilm")
          .also_called({"path", "pretrained", "name_or_path", "model_name_or_path"}));
    f("architecture", architecture, "instead of from: a new model with random weights");
    f("tokenizer", tokenizer,
      Field("with architecture: a tokenizer.json, a vocab.txt or a folder that holds one"));
    f("head", head, "what the model answers");
    f("dropout", dropout, "probability that a value is set to zero in training");
    f("train", train, "which weights training changes: the head is always among them");
  }
  bool operator==(const ModelConfig&) const = default;
};

}  // namespace heddle
