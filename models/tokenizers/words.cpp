#include "models/tokenizers/words.h"

#include "framework/core/error.h"
#include "models/tokenizers/unicode.h"

namespace heddle {

void decode_text(std::string_view text, AlignedText& out, uint32_t first) {
  out.clear();
  uint32_t number = first;
  for (size_t at = 0; at < text.size(); ++number) {
    const std::optional<char32_t> c = next_code_point(text, at);
    if (!c.has_value()) {
      throw Error(ExitCode::kInput,
                  fmt::format("text is not UTF-8: byte 0x{:02X} after {} characters",
                              static_cast<uint8_t>(text[at]), number),
                  "convert it to UTF-8, for instance with iconv");
    }
    out.push_back(*c, {number, number + 1});
  }
}

void encode_word(const AlignedText& text, TextRange range, std::string& word) {
  word.clear();
  for (uint32_t i = range.begin; i < range.end; ++i) append_utf8(text.chars[i], word);
}

}  // namespace heddle
