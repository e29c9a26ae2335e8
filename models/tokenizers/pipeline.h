// A text through all parts up to the model, one after the other: the way that works for every
// tokenizer and knows where each token came from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/tokenizers/tokenizer.h"

namespace heddle {

struct SequenceTokens {
  std::vector<int32_t> ids;
  std::vector<TextRange> offsets;  // as many as ids; code points of the text
};

// What a stage made of the text, for people to read.
struct StageTexts {
  std::vector<std::string> spans;       // added tokens and what is between them
  std::vector<std::string> normalized;  // of what is between them
  std::vector<std::string> words;
};

// Throws Error(kInput) if `text` is not UTF-8. Fills `seen` if it is there.
SequenceTokens run_pipeline(const Tokenizer::Parts& parts, std::string_view text,
                            StageTexts* seen = nullptr);

}  // namespace heddle
