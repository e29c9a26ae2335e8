#include "models/tokenizers/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "framework/core/error.h"
#include "models/tokenizers/unicode.h"

namespace heddle {

namespace {

std::u32string code_points(std::string_view text) {
  std::u32string out;
  for (size_t at = 0; at < text.size();) {
    const std::optional<char32_t> c = next_code_point(text, at);
    check(c.has_value(), "[added_tokens] byte {} of a token is not UTF-8", at);
    out.push_back(*c);
  }
  return out;
}

std::string normalize(const std::string& content, const Normalizer& normalizer) {
  AlignedText text;
  AlignedText spare;
  for (const char32_t c : code_points(content)) text.push_back(c, {});
  normalizer.normalize(text, spare);
  std::string out;
  for (const char32_t c : text.chars) append_utf8(c, out);
  return out;
}

// How to step over code points, in bytes and in code points.
struct ByteSteps {
  std::string_view text;
  // The code point that ends before `at`, and where it begins.
  std::pair<char32_t, size_t> before(size_t at) const {
    size_t begin = at - 1;
    while (begin > 0 && (text[begin] & 0xC0) == 0x80) --begin;
    size_t end = begin;
    return {next_code_point(text, end).value_or(U' '), begin};
  }
  // The code point at `at`, and where it ends.
  std::pair<char32_t, size_t> after(size_t at) const {
    size_t end = at;
    const std::optional<char32_t> c = next_code_point(text, end);
    return {c.value_or(0xFFFD), std::max(end, at + 1)};
  }
};

struct CodePointSteps {
  std::u32string_view text;
  std::pair<char32_t, size_t> before(size_t at) const { return {text[at - 1], at - 1}; }
  std::pair<char32_t, size_t> after(size_t at) const { return {text[at], at + 1}; }
};

}  // namespace

int32_t AddedTokens::add(const AddedToken& token, const Model& model,
                         const Normalizer* normalizer) {
  if (token.content.empty()) return -1;
  const auto in_model = static_cast<int32_t>(model.vocab_size());
  int32_t next = in_model;
  if (!by_id_.empty()) next = std::max(next, by_id_.rbegin()->first + 1);
  const auto known = ids_.find(token.content);
  const int32_t id =
      known != ids_.end() ? known->second : model.token_to_id(token.content).value_or(next);
  if (token.normalized && normalizer != nullptr) {
    std::string content = normalize(token.content, *normalizer);
    if (content != token.content) normalized_content_[id] = std::move(content);
  }
  ids_[token.content] = id;
  if (token.special) specials_.insert(token.content);
  by_id_[id] = token;
  return id;
}

template <typename Char>
void AddedTokens::Matcher<Char>::add(std::basic_string<Char> content, int32_t id) {
  check(!content.empty(), "[added_tokens] the token with the id {} is empty when normalized", id);
  auto& alike = first[content[0]];
  for (const auto& [other, other_id] : alike) {
    check(other != content, "[added_tokens] the tokens with the ids {} and {} look alike", other_id,
          id);
  }
  alike.emplace_back(std::move(content), id);
}

void AddedTokens::build() {
  for (const auto& [id, token] : by_id_) {
    if (token.normalized) {
      normalized_.add(code_points(*shown(id)), id);
    } else {
      raw_.add(token.content, id);
    }
  }
  const auto longest_first = [](auto& matcher) {
    for (auto& [c, alike] : matcher.first) {
      std::sort(alike.begin(), alike.end(),
                [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    }
  };
  longest_first(raw_);
  longest_first(normalized_);
  for (const auto& [c, alike] : raw_.first) first_bytes_.push_back(c);
}

bool AddedTokens::has_none(std::string_view text) const {
  if (text.empty()) return true;
  for (const char c : first_bytes_) {
    if (std::memchr(text.data(), c, text.size()) != nullptr) return false;
  }
  return true;
}

template <typename Char, typename Steps>
void AddedTokens::split_by(std::basic_string_view<Char> text, const Matcher<Char>& matcher,
                           const Steps& steps, std::vector<AddedSpan>& spans) const {
  size_t done = 0;  // what the spans cover
  for (size_t at = 0; at < text.size() && !matcher.first.empty();) {
    const auto alike = matcher.first.find(text[at]);
    if (alike == matcher.first.end()) {
      ++at;
      continue;
    }
    const auto match = std::find_if(
        alike->second.begin(), alike->second.end(),
        [&](const auto& token) { return text.substr(at, token.first.size()) == token.first; });
    if (match == alike->second.end()) {
      ++at;
      continue;
    }
    size_t begin = at;
    size_t end = at + match->first.size();
    at = end;  // matches do not overlap, not even with one that is then discarded
    const int32_t id = match->second;
    const AddedToken& token = by_id_.at(id);
    if (token.single_word) {
      const bool joins = (begin > 0 && is_word_character(steps.before(begin).first)) ||
                         (end < text.size() && is_word_character(steps.after(end).first));
      if (joins) continue;
    }
    if (token.lstrip) {
      while (begin > 0 && is_white_space(steps.before(begin).first)) {
        begin = steps.before(begin).second;
      }
      begin = std::max(begin, done);
    }
    if (token.rstrip) {
      while (end < text.size() && is_white_space(steps.after(end).first)) {
        end = steps.after(end).second;
      }
    }
    if (done < begin) {
      spans.push_back({-1, static_cast<uint32_t>(done), static_cast<uint32_t>(begin)});
    }
    spans.push_back({id, static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
    done = end;
  }
  if (done < text.size()) {
    spans.push_back({-1, static_cast<uint32_t>(done), static_cast<uint32_t>(text.size())});
  }
}

void AddedTokens::split(std::string_view text, std::vector<AddedSpan>& spans) const {
  if (has_none(text)) {
    if (!text.empty()) spans.push_back({-1, 0, static_cast<uint32_t>(text.size())});
    return;
  }
  split_by(text, raw_, ByteSteps{text}, spans);
}

void AddedTokens::split_normalized(std::u32string_view text, std::vector<AddedSpan>& spans) const {
  split_by(text, normalized_, CodePointSteps{text}, spans);
}

std::optional<int32_t> AddedTokens::id(std::string_view content) const {
  const auto found = ids_.find(std::string(content));
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const AddedToken* AddedTokens::token(int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second;
}

const std::string* AddedTokens::shown(int32_t id) const {
  const AddedToken* added = token(id);
  if (added == nullptr) return nullptr;
  const auto normalized = normalized_content_.find(id);
  return normalized == normalized_content_.end() ? &added->content : &normalized->second;
}

size_t AddedTokens::count_outside(const Model& model) const {
  return static_cast<size_t>(std::count_if(ids_.begin(), ids_.end(), [&](const auto& token) {
    return !model.token_to_id(token.first).has_value();
  }));
}

}  // namespace heddle
