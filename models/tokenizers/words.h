// From bytes to code points and back, at the two ends of normalizing.
#pragma once

#include <string>
#include <string_view>

#include "models/tokenizers/parts.h"

namespace heddle {

// Replaces `out` by the code points of `text`, numbered from `first`. Throws Error(kInput) if it is
// not UTF-8.
void decode_text(std::string_view text, AlignedText& out, uint32_t first = 0);

// Replaces `word` by code points [range.begin, range.end) of `text`, as UTF-8.
void encode_word(const AlignedText& text, TextRange range, std::string& word);

}  // namespace heddle
