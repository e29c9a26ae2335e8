// Unicode as the reference implementation of tokenizers sees it, and the only way to ICU.
//
// Its category tables are those of Unicode 8.0 and its normalization tables those of Unicode 9.0;
// lower-casing and White_Space are recent. A code point assigned later has no category and no
// decomposition here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace heddle {

bool is_white_space(char32_t c);      // the property White_Space
bool is_other(char32_t c);            // categories Cc, Cf, Co
bool is_punctuation(char32_t c);      // categories P*, and all ASCII punctuation such as '$'
bool is_nonspacing_mark(char32_t c);  // category Mn
bool is_word_character(char32_t c);   // \w of a regular expression

// 0 for what no mark may move over.
uint8_t combining_class(char32_t c);

// Appends the full canonical decomposition of `c` (without reordering), `c` itself if it has none.
// Returns the number of code points appended.
size_t append_decomposition(char32_t c, std::u32string& out);

// Lower case of one code point on its own. Only U+0130 gives two: the rest is in `second`.
struct LowerCase {
  char32_t first;
  char32_t second;  // 0: none
};
LowerCase lower_case(char32_t c);

// The code point that starts at text[at], moving `at` behind it; nothing, and `at` as it was, if
// the bytes there are no UTF-8. `at` must be less than text.size().
std::optional<char32_t> next_code_point(std::string_view text, size_t& at);
void append_utf8(char32_t c, std::string& out);
// Number of code points in valid UTF-8.
size_t count_code_points(std::string_view text);

}  // namespace heddle
