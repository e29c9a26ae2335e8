// DistilBERT, https://huggingface.co/docs/transformers/model_doc/distilbert
#include "models/hf/family.h"

namespace heddle {

const Family& distilbert_family() {
  static const Family family = {
      .model_type = "distilbert",
      .architecture = "DistilBertForSequenceClassification",
      .prefix = "distilbert.",
      .hidden_size = "dim",
      .layers = "n_layers",
      .heads = "n_heads",
      .intermediate_size = "hidden_dim",
      .activation = "activation",
      .hidden_dropout = "dropout",
      .attention_dropout = "attention_dropout",
      .head_dropout = "seq_classif_dropout",
      .has_token_types = false,
      .has_norm_eps = false,
      .constants = {{"qa_dropout", "0.1"}, {"sinusoidal_pos_embds", "false"}},
      .fixed = {{"is_decoder", {"false"}}, {"pruned_heads", {"{}"}}, {"quantization_config", {}}},
      .tensors = {{"encoder.embeddings.word.weight", {"embeddings.word_embeddings.weight"}},
                  {"encoder.embeddings.position.weight", {"embeddings.position_embeddings.weight"}},
                  {"encoder.embeddings.norm", {"embeddings.LayerNorm"}},
                  {"encoder.layers.{}.attention.query_key_value",
                   {"transformer.layer.{}.attention.q_lin", "transformer.layer.{}.attention.k_lin",
                    "transformer.layer.{}.attention.v_lin"}},
                  {"encoder.layers.{}.attention.output",
                   {"transformer.layer.{}.attention.out_lin"}},
                  {"encoder.layers.{}.attention_norm", {"transformer.layer.{}.sa_layer_norm"}},
                  {"encoder.layers.{}.feed_forward.up", {"transformer.layer.{}.ffn.lin1"}},
                  {"encoder.layers.{}.feed_forward.down", {"transformer.layer.{}.ffn.lin2"}},
                  {"encoder.layers.{}.feed_forward_norm",
                   {"transformer.layer.{}.output_layer_norm"}},
                  {"head.dense", {"pre_classifier"}},
                  {"head.out", {"classifier"}}},
      .other_heads = {"vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "qa_outputs."},
  };
  return family;
}

}  // namespace heddle
