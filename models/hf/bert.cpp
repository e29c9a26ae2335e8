// BERT, https://huggingface.co/docs/transformers/model_doc/bert
#include "models/hf/family.h"

namespace heddle {

const Family& bert_family() {
  static const Family family = {
      .model_type = "bert",
      .architecture = "BertForSequenceClassification",
      .prefix = "bert.",
      .hidden_size = "hidden_size",
      .layers = "num_hidden_layers",
      .heads = "num_attention_heads",
      .intermediate_size = "intermediate_size",
      .activation = "hidden_act",
      .hidden_dropout = "hidden_dropout_prob",
      .attention_dropout = "attention_probs_dropout_prob",
      .head_dropout = "classifier_dropout",
      .constants = {{"position_embedding_type", "\"absolute\""}, {"use_cache", "true"}},
      .fixed = {{"position_embedding_type", {"\"absolute\""}},
                {"is_decoder", {"false"}},
                {"add_cross_attention", {"false"}},
                {"is_encoder_decoder", {"false"}},
                {"pruned_heads", {"{}"}},
                {"quantization_config", {}}},
      .tensors =
          {{"encoder.embeddings.word.weight", {"embeddings.word_embeddings.weight"}},
           {"encoder.embeddings.position.weight", {"embeddings.position_embeddings.weight"}},
           {"encoder.embeddings.token_type.weight", {"embeddings.token_type_embeddings.weight"}},
           {"encoder.embeddings.norm", {"embeddings.LayerNorm"}},
           {"encoder.layers.{}.attention.query_key_value",
            {"encoder.layer.{}.attention.self.query", "encoder.layer.{}.attention.self.key",
             "encoder.layer.{}.attention.self.value"}},
           {"encoder.layers.{}.attention.output", {"encoder.layer.{}.attention.output.dense"}},
           {"encoder.layers.{}.attention_norm", {"encoder.layer.{}.attention.output.LayerNorm"}},
           {"encoder.layers.{}.feed_forward.up", {"encoder.layer.{}.intermediate.dense"}},
           {"encoder.layers.{}.feed_forward.down", {"encoder.layer.{}.output.dense"}},
           {"encoder.layers.{}.feed_forward_norm", {"encoder.layer.{}.output.LayerNorm"}},
           {"head.dense", {"pooler.dense"}},
           {"head.out", {"classifier"}}},
      .other_heads = {"cls.", "qa_outputs."},
  };
  return family;
}

}  // namespace heddle
