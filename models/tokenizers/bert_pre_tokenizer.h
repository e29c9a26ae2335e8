// BERT's pre-tokenizer: words are what is between white space; each punctuation mark is a word.
#pragma once

#include "models/tokenizers/parts.h"

namespace heddle {

class BertPreTokenizer final : public PreTokenizer {
 public:
  void split(const AlignedText& text, std::vector<TextRange>& words) const override;
};

}  // namespace heddle
