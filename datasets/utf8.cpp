#include "datasets/utf8.h"

#include <emmintrin.h>
#include <fmt/format.h>

#include <cstdint>

namespace heddle {
namespace {

// The length of the valid sequence at the start of `text`, 0 if there is none. `text` is not empty.
size_t sequence_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const auto follows = [&](size_t i, uint8_t low = 0x80, uint8_t high = 0xBF) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;
  if (lead < 0xE0) return follows(1) ? 2 : 0;
  if (lead < 0xF0) {
    const uint8_t low = lead == 0xE0 ? 0xA0 : 0x80;
    const uint8_t high = lead == 0xED ? 0x9F : 0xBF;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (lead > 0xF4) return 0;
  const uint8_t low = lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xF4 ? 0x8F : 0xBF;
  return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
}

}  // namespace

size_t find_bad_byte(std::string_view text) {
  const __m128i zero = _mm_setzero_si128();
  size_t i = 0;
  while (i < text.size()) {
    while (i + 16 <= text.size()) {
      const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + i));
      if (_mm_movemask_epi8(_mm_or_si128(block, _mm_cmpeq_epi8(block, zero))) != 0) break;
      i += 16;
    }
    if (i >= text.size()) break;
    // One block, or the tail, character by character; a character may reach beyond it.
    const size_t end = i + 16 < text.size() ? i + 16 : text.size();
    while (i < end) {
      const auto byte = static_cast<uint8_t>(text[i]);
      if (byte == 0) return i;
      if (byte < 0x80) {
        ++i;
        continue;
      }
      const size_t length = sequence_length(text.substr(i));
      if (length == 0) return i;
      i += length;
    }
  }
  return std::string_view::npos;
}

size_t count_characters(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++count) {
    const size_t length = sequence_length(text.substr(i));
    i += length == 0 ? 1 : length;
  }
  return count;
}

std::string quote_start(std::string_view text, size_t characters) {
  std::string out = "'";
  size_t i = 0;
  for (size_t count = 0; i < text.size() && count < characters; ++count) {
    const size_t length = sequence_length(text.substr(i));
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte == '\t') {
      out += "\\t";
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\r') {
      out += "\\r";
    } else if (length == 0 || byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += text.substr(i, length);
    }
    i += length == 0 ? 1 : length;
  }
  if (i < text.size()) out += "…";
  return out + "'";
}

}  // namespace heddle
