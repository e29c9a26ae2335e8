// Joins word pieces: a piece with the prefix continues the word before it, any other begins a new
// one after a space. `cleanup` takes back spaces before punctuation and English contractions.
#pragma once

#include "models/tokenizers/parts.h"

namespace heddle {

class WordPieceDecoder final : public Decoder {
 public:
  explicit WordPieceDecoder(std::string prefix = "##", bool cleanup = true)
      : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  std::string decode(const std::vector<std::string_view>& tokens) const override;

 private:
  std::string prefix_;
  bool cleanup_;
};

// What `clean_up_tokenization_spaces` of tokenizer_config.json does to a whole decoded text.
std::string clean_up_spaces(std::string text);

}  // namespace heddle
