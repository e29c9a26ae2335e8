#include "models/tokenizers/bert_normalizer.h"

#include <algorithm>

#include "models/tokenizers/unicode.h"

namespace heddle {

namespace {

// The reference has 0x2B920 where the block begins at 0x2B820; equal ids need its ranges.
bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

void clean(AlignedText& text) {
  size_t kept = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char32_t c = text.chars[i];
    if (c == U'\t' || c == U'\n' || c == U'\r') {
      c = U' ';
    } else if (c == 0 || c == 0xFFFD || is_other(c)) {
      continue;
    } else if (is_white_space(c)) {
      c = U' ';
    }
    text.chars[kept] = c;
    text.source[kept++] = text.source[i];
  }
  text.chars.resize(kept);
  text.source.resize(kept);
}

void space_out_chinese(AlignedText& text, AlignedText& out) {
  if (std::none_of(text.chars.begin(), text.chars.end(), is_chinese)) return;
  out.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text.chars[i];
    const bool chinese = is_chinese(c);
    if (chinese) out.push_back(U' ', text.source[i]);
    out.push_back(c, text.source[i]);
    if (chinese) out.push_back(U' ', text.source[i]);
  }
  text.swap(out);
}

// Canonical decomposition with reordering, then without nonspacing marks. The first code point of
// a decomposition stands for the next code point of the text, the others for the one before them:
// after reordering that is not always the code point they came from.
void strip_accents(AlignedText& text, AlignedText& out) {
  if (std::all_of(text.chars.begin(), text.chars.end(), [](char32_t c) { return c < 0xC0; })) {
    return;
  }
  struct Part {
    char32_t c;
    bool is_first;
    uint8_t combining;
  };
  std::u32string decomposed;
  std::vector<Part> marks;  // not yet in order
  size_t consumed = 0;
  out.clear();
  const auto emit = [&](const Part& part) {
    if (part.is_first) ++consumed;
    if (!is_nonspacing_mark(part.c)) out.push_back(part.c, text.source[consumed - 1]);
  };
  const auto flush = [&] {
    std::stable_sort(marks.begin(), marks.end(),
                     [](const Part& a, const Part& b) { return a.combining < b.combining; });
    for (const Part& mark : marks) emit(mark);
    marks.clear();
  };
  for (const char32_t c : text.chars) {
    decomposed.clear();
    append_decomposition(c, decomposed);
    for (size_t i = 0; i < decomposed.size(); ++i) {
      const Part part{decomposed[i], i == 0, combining_class(decomposed[i])};
      if (part.combining == 0) {
        flush();
        emit(part);
      } else {
        marks.push_back(part);
      }
    }
  }
  flush();
  text.swap(out);
}

void to_lower_case(AlignedText& text, AlignedText& out) {
  const bool grows = text.chars.find(char32_t{0x130}) != std::u32string::npos;
  if (!grows) {
    for (char32_t& c : text.chars) c = lower_case(c).first;
    return;
  }
  out.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    const LowerCase lower = lower_case(text.chars[i]);
    out.push_back(lower.first, text.source[i]);
    if (lower.second != 0) out.push_back(lower.second, text.source[i]);
  }
  text.swap(out);
}

}  // namespace

void BertNormalizer::normalize(AlignedText& text, AlignedText& spare) const {
  if (options_.clean_text) clean(text);
  if (options_.handle_chinese_chars) space_out_chinese(text, spare);
  if (options_.strip_accents) strip_accents(text, spare);
  if (options_.lowercase) to_lower_case(text, spare);
}

}  // namespace heddle
