// Is this text? Finds the first byte that is not part of valid UTF-8, or is NUL.
//
//   size_t bad = find_bad_byte("caf\xe9 au lait");   // 3
//
// Valid as RFC 3629 says: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace heddle {

// The place of the first NUL or of the first byte of the first invalid sequence; npos if none.
// Plain ASCII is checked 16 bytes at a time.
size_t find_bad_byte(std::string_view text);

// How many characters (code points) `text` has; each byte that is not valid counts as one.
size_t count_characters(std::string_view text);

// The first `characters` characters of `text` between single quotes and fit for a terminal: control
// characters and invalid bytes as \t, \n, \r or \xNN, and "…" where it was cut.
std::string quote_start(std::string_view text, size_t characters = 40);

}  // namespace heddle
