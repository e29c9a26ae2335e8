#include "models/tokenizers/bert_pre_tokenizer.h"

#include "models/tokenizers/unicode.h"

namespace heddle {

void BertPreTokenizer::split(const AlignedText& text, std::vector<TextRange>& words) const {
  uint32_t begin = 0;
  const auto end_word = [&](uint32_t end) {
    if (begin < end) words.push_back({begin, end});
  };
  const auto size = static_cast<uint32_t>(text.size());
  for (uint32_t i = 0; i < size; ++i) {
    const bool white = is_white_space(text.chars[i]);
    if (!white && !is_punctuation(text.chars[i])) continue;
    end_word(i);
    if (!white) words.push_back({i, i + 1});
    begin = i + 1;
  }
  end_word(size);
}

}  // namespace heddle
