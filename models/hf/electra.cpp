// ELECTRA, https://huggingface.co/docs/transformers/model_doc/electra
#include "models/hf/family.h"

namespace heddle {

const Family& electra_family() {
  static const Family family = [] {
    Family electra = bert_family();
    electra.model_type = "electra";
    electra.architecture = "ElectraForSequenceClassification";
    electra.prefix = "electra.";
    electra.has_embedding_size = true;
    electra.constants.emplace_back("summary_type", "\"first\"");
    electra.constants.emplace_back("summary_use_proj", "true");
    electra.constants.emplace_back("summary_activation", "\"gelu\"");
    electra.constants.emplace_back("summary_last_dropout", "0.1");
    electra.tensors.push_back({"encoder.embeddings.projection", {"embeddings_project"}});
    for (TensorRule& rule : electra.tensors) {
      if (rule.ours == "head.dense") rule.theirs = {"classifier.dense"};
      if (rule.ours == "head.out") rule.theirs = {"classifier.out_proj"};
    }
    electra.other_heads = {"discriminator_predictions.", "generator_predictions.",
                           "generator_lm_head.", "qa_outputs."};
    return electra;
  }();
  return family;
}

}  // namespace heddle
