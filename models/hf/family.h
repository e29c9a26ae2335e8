// What one Hugging Face family calls things: a table, one file a family.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

// A parameter of ours and the tensors of theirs that it is made of, one below another (q, k, v).
// `{}` stands for a layer's number.
struct TensorRule {
  std::string ours;
  std::vector<std::string> theirs;
};

// An attribute of config.json that this program does not have, and the values it may have all the
// same because they change nothing (as JSON text).
struct FixedAttribute {
  std::string name;
  std::vector<std::string> allowed;
};

struct Family {
  std::string model_type;
  std::string architecture;  // of the classifier: "BertForSequenceClassification"
  std::string prefix;  // of the encoder's tensors, absent where a file holds the encoder alone

  // Names of the attributes in config.json.
  std::string hidden_size, layers, heads, intermediate_size, activation;
  std::string hidden_dropout, attention_dropout, head_dropout;
  bool has_token_types = true;
  bool has_embedding_size = false;
  bool has_norm_eps = true;  // else 1e-12
  // Written on export besides the mapped attributes, as JSON text.
  std::vector<std::pair<std::string, std::string>> constants;
  std::vector<FixedAttribute> fixed;

  std::vector<TensorRule> tensors;
  // Prefixes of tensors of other heads, which a classifier does not need.
  std::vector<std::string> other_heads;
};

// Throws Error(kInput) with the nearest name, prefixed by `where`, for a type that is unknown.
const Family& family_named(std::string_view model_type, const std::string& where);
std::vector<std::string> family_names();

const Family& bert_family();
const Family& distilbert_family();
const Family& electra_family();

}  // namespace heddle
