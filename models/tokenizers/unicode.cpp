#include "models/tokenizers/unicode.h"

#include <algorithm>
#include <iterator>

#include <unicode/uchar.h>
#include <unicode/unorm2.h>

namespace heddle {

namespace {

// Unassigned in the given version of Unicode, or not assigned at all.
bool is_younger_than(char32_t c, uint8_t version) {
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] > version || age[0] == 0;
}

uint32_t category_of_unicode_8(char32_t c) {
  const uint32_t category = U_GET_GC_MASK(static_cast<UChar32>(c));
  return category != 0 && is_younger_than(c, 8) ? 0 : category;
}

const UNormalizer2* canonical_decomposer() {
  UErrorCode status = U_ZERO_ERROR;
  return unorm2_getNFDInstance(&status);  // compiled into ICU: cannot fail
}

// Letters that got a lower case in Unicode 16 and 17, which ICU may not know yet.
char32_t lower_case_of_unicode_17(char32_t c) {
  if (c < 0x1C89) return c;
  switch (c) {
    case 0x1C89:
    case 0xA7CC:
    case 0xA7CE:
    case 0xA7D2:
    case 0xA7D4:
    case 0xA7DA:
      return c + 1;
    case 0xA7CB:
      return 0x264;
    case 0xA7DC:
      return 0x19B;
    default:
      if (c >= 0x10D50 && c <= 0x10D65) return c + 0x20;
      if (c >= 0x16EA0 && c <= 0x16EB8) return c + 0x1B;
      return c;
  }
}

// Word characters of Unicode 15.1 and 16, which ICU may not know yet: first and last.
constexpr char32_t kYoungWordCharacters[][2] = {
    {0x897, 0x897},     {0x1C89, 0x1C8A},   {0xA7CB, 0xA7CD},   {0xA7DA, 0xA7DC},
    {0x105C0, 0x105F3}, {0x10D40, 0x10D65}, {0x10D69, 0x10D6D}, {0x10D6F, 0x10D85},
    {0x10EC2, 0x10EC4}, {0x10EFC, 0x10EFC}, {0x11380, 0x11389}, {0x1138B, 0x1138B},
    {0x1138E, 0x1138E}, {0x11390, 0x113B5}, {0x113B7, 0x113C0}, {0x113C2, 0x113C2},
    {0x113C5, 0x113C5}, {0x113C7, 0x113CA}, {0x113CC, 0x113D3}, {0x113E1, 0x113E2},
    {0x116D0, 0x116E3}, {0x11BC0, 0x11BE0}, {0x11BF0, 0x11BF9}, {0x11F5A, 0x11F5A},
    {0x13460, 0x143FA}, {0x16100, 0x16139}, {0x16D40, 0x16D6C}, {0x16D70, 0x16D79},
    {0x18CFF, 0x18CFF}, {0x1CCF0, 0x1CCF9}, {0x1E5D0, 0x1E5FA}, {0x2EBF0, 0x2EE5D}};

constexpr int kUnicodeOfNormalization = 9;

}  // namespace

bool is_white_space(char32_t c) {
  return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_WHITE_SPACE);
}

bool is_other(char32_t c) {
  return (category_of_unicode_8(c) & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) != 0;
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) {
    return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) ||
           (c >= 0x7B && c <= 0x7E);
  }
  if (c == 0x166D || c == 0x111C9) return true;  // something else since Unicode 12 and 11
  return (category_of_unicode_8(c) & U_GC_P_MASK) != 0;
}

bool is_nonspacing_mark(char32_t c) {
  if (c < 0x300) return false;
  if (c == 0x1734) return true;  // a spacing mark since Unicode 14
  // Became nonspacing marks after Unicode 8.
  if (c == 0x1885 || c == 0x1886 || c == 0xA9BD || c == 0x111C9) return false;
  return (category_of_unicode_8(c) & U_GC_MN_MASK) != 0;
}

bool is_word_character(char32_t c) {
  const auto code = static_cast<UChar32>(c);
  return u_hasBinaryProperty(code, UCHAR_ALPHABETIC) ||
         u_hasBinaryProperty(code, UCHAR_JOIN_CONTROL) ||
         (U_GET_GC_MASK(code) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0 ||
         std::any_of(std::begin(kYoungWordCharacters), std::end(kYoungWordCharacters),
                     [c](const auto& range) { return c >= range[0] && c <= range[1]; });
}

uint8_t combining_class(char32_t c) {
  if (c < 0x300) return 0;
  const uint8_t combining = u_getCombiningClass(static_cast<UChar32>(c));
  return combining != 0 && is_younger_than(c, kUnicodeOfNormalization) ? 0 : combining;
}

size_t append_decomposition(char32_t c, std::u32string& out) {
  if (c >= 0xC0 && !is_younger_than(c, kUnicodeOfNormalization)) {
    UChar units[16];  // the longest canonical decomposition has four code points
    UErrorCode status = U_ZERO_ERROR;
    const int32_t length = unorm2_getDecomposition(canonical_decomposer(), static_cast<UChar32>(c),
                                                   units, 16, &status);
    if (length > 0 && U_SUCCESS(status)) {
      size_t count = 0;
      for (int32_t at = 0; at < length; ++count) {
        UChar32 part = 0;
        U16_NEXT(units, at, length, part);
        out.push_back(static_cast<char32_t>(part));
      }
      return count;
    }
  }
  out.push_back(c);
  return 1;
}

LowerCase lower_case(char32_t c) {
  if (c < 0x80) return {c >= 'A' && c <= 'Z' ? c + 0x20 : c, 0};
  if (c == 0x130) return {U'i', 0x307};
  const auto lower = static_cast<char32_t>(u_tolower(static_cast<UChar32>(c)));
  return {lower == c ? lower_case_of_unicode_17(c) : lower, 0};
}

std::optional<char32_t> next_code_point(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(at);
  if (lead < 0x80) {
    ++at;
    return lead;
  }
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || at + length > text.size()) return std::nullopt;
  char32_t c = lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return std::nullopt;
    c = c << 6 | (byte(at + i) & 0x3F);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (c < kLeast[length] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return std::nullopt;
  at += length;
  return c;
}

void append_utf8(char32_t c, std::string& out) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
    return;
  }
  if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | c >> 6));
  } else {
    if (c < 0x10000) {
      out.push_back(static_cast<char>(0xE0 | c >> 12));
    } else {
      out.push_back(static_cast<char>(0xF0 | c >> 18));
      out.push_back(static_cast<char>(0x80 | (c >> 12 & 0x3F)));
    }
    out.push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
  }
  out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
}

size_t count_code_points(std::string_view text) {
  size_t count = 0;
  for (const char byte : text) count += (byte & 0xC0) != 0x80;
  return count;
}

}  // namespace heddle
