// `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`: what a folder says
// about its tokenizer beside the vocabulary.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/tokenizers/tokenizer.h"

namespace heddle {

class JsonView;

struct TokenizerConfig {
  std::string tokenizer_class;  // "" if not said
  bool do_lower_case = true;
  bool tokenize_chinese_chars = true;
  std::optional<bool> strip_accents;  // as do_lower_case if not said
  bool clean_up_spaces = false;
  int64_t model_max_length = 0;  // 0: none
  // "cls_token" -> its token, as far as they are said.
  std::map<std::string, AddedToken> named;
  std::vector<AddedToken> further_specials;
  // Tokens with the ids they must get.
  std::map<int32_t, AddedToken> added;
};

// The names of special tokens, in the order in which the reference adds missing ones.
extern const std::vector<std::string> kTokenNames;

// Files that are missing are no mistake. Throws Error(kInput) "ORIGIN/FILE: ...".
TokenizerConfig read_tokenizer_config(const TokenizerFiles& files, const std::string& origin);

// {"content": "[MASK]", "lstrip": false, ...}
AddedToken read_added_token(const JsonView& view);

}  // namespace heddle
