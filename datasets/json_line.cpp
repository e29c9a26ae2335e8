#include "datasets/json_line.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "models/tokenizers/unicode.h"

namespace heddle {
namespace {

constexpr int kMaxDepth = 64;
constexpr size_t kMaxKeys = 4096;  // each is compared with those before it

// The bytes that end a run of plain characters in a string.
constexpr std::array<bool, 256> kSpecial = [] {
  std::array<bool, 256> special{};
  for (int c = 0; c < 0x20; ++c) special[c] = true;
  special['"'] = special['\\'] = true;
  return special;
}();

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

bool JsonLine::parse(std::string_view line) {
  return parse_members(line, true);
}

bool JsonLine::parse_array(std::string_view line) {
  return parse_members(line, false);
}

bool JsonLine::parse_members(std::string_view line, bool object) {
  line_ = line;
  position_ = 0;
  members_.clear();
  unescaped_.clear();
  const char close = object ? '}' : ']';
  space();
  if (!take(object ? '{' : '[')) {
    return mistake(object ? "expected a JSON object, {...}" : "expected a JSON array, [...]");
  }
  space();
  if (!take(close)) {
    while (true) {
      if (!member(object)) return false;
      space();
      if (take(close)) break;
      if (!take(',')) return mistake(object ? "expected ',' or '}'" : "expected ',' or ']'");
      space();
    }
  }
  space();
  if (position_ != line_.size()) return mistake("text behind the end of the JSON value");
  return true;
}

bool JsonLine::member(bool object) {
  Member member;
  if (object) {
    const size_t start = position_;
    if (!take('"')) return mistake("expected a key in double quotes");
    if (members_.size() == kMaxKeys) return mistake("more than 4096 keys");
    if (!string(member.key)) return false;
    for (const Member& other : members_) {
      if (other.key != member.key) continue;
      position_ = start;
      return mistake(fmt::format("the key '{}' twice", member.key));
    }
    space();
    if (!take(':')) return mistake("expected ':'");
    space();
  }
  if (!value(member)) return false;
  members_.push_back(member);
  return true;
}

bool JsonLine::value(Member& member) {
  if (take('"')) return string(member.value);
  const size_t start = position_;
  member.kind = FieldKind::kJson;
  if (!skip_value(0)) return false;
  member.value = line_.substr(start, position_ - start);
  return true;
}

bool JsonLine::string(std::string_view& out) {
  const size_t start = position_;
  while (position_ < line_.size() && !kSpecial[static_cast<uint8_t>(line_[position_])]) ++position_;
  if (take('"')) {
    out = line_.substr(start, position_ - 1 - start);
    return true;
  }
  // All that a line unescapes is shorter than the line: the views stay where they are.
  if (unescaped_.empty()) unescaped_.reserve(line_.size());
  const size_t begin = unescaped_.size();
  unescaped_ += line_.substr(start, position_ - start);
  while (!take('"')) {
    if (position_ == line_.size()) return mistake("a string that is never closed");
    const char c = line_[position_];
    if (static_cast<uint8_t>(c) < 0x20) return mistake("a control character in a string");
    if (c == '\\') {
      if (!unescape(unescaped_)) return false;
    } else {
      unescaped_ += c;
      ++position_;
    }
  }
  out = std::string_view(unescaped_).substr(begin);
  return true;
}

bool JsonLine::unescape(std::string& out) {
  const size_t start = position_;
  const auto fail = [&](const char* reason) {
    position_ = start;
    return mistake(reason);
  };
  constexpr std::string_view kEscapes = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  const char c = position_ + 1 < line_.size() ? line_[position_ + 1] : '\0';
  position_ += 2;
  if (const size_t known = kEscapes.find(c); known != std::string_view::npos) {
    out += kMeanings[known];
    return true;
  }
  char32_t code = 0;
  if (c != 'u' || !code_unit(code)) return fail("an escape that JSON does not have");
  if (code == 0) return fail("the escape \\u0000, a NUL");
  if (code >= 0xD800 && code < 0xE000) {
    char32_t low = 0;
    if (code >= 0xDC00 || !take('\\') || !take('u') || !code_unit(low) || low < 0xDC00 ||
        low >= 0xE000) {
      return fail("half of a surrogate pair");
    }
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(code, out);
  return true;
}

bool JsonLine::code_unit(char32_t& unit) {
  if (line_.size() < position_ + 4) return false;
  unit = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = line_[position_++];
    const char lower = static_cast<char>(c | 0x20);
    if (!is_digit(c) && (lower < 'a' || lower > 'f')) return false;
    unit = unit * 16 + static_cast<char32_t>(is_digit(c) ? c - '0' : lower - 'a' + 10);
  }
  return true;
}

bool JsonLine::skip_value(int depth) {
  if (depth > kMaxDepth) return mistake("a value nested deeper than 64");
  switch (position_ < line_.size() ? line_[position_] : '\0') {
    case '{':
      return skip_nested(depth, '}');
    case '[':
      return skip_nested(depth, ']');
    case '"': {
      ++position_;
      std::string_view ignored;
      return string(ignored);
    }
    case 't':
      return word("true");
    case 'f':
      return word("false");
    case 'n':
      return word("null");
    default:
      return number();
  }
}

bool JsonLine::skip_nested(int depth, char close) {
  ++position_;
  space();
  if (take(close)) return true;
  while (true) {
    if (close == '}') {
      std::string_view ignored;
      if (!take('"')) return mistake("expected a key in double quotes");
      if (!string(ignored)) return false;
      space();
      if (!take(':')) return mistake("expected ':'");
      space();
    }
    if (!skip_value(depth + 1)) return false;
    space();
    if (take(close)) return true;
    if (!take(',')) return mistake(fmt::format("expected ',' or '{}'", close));
    space();
  }
}

bool JsonLine::number() {
  const auto digits = [&] {
    const size_t start = position_;
    while (position_ < line_.size() && is_digit(line_[position_])) ++position_;
    return position_ > start;
  };
  const size_t start = position_;
  take('-');
  const bool whole = take('0') || digits();
  const bool fraction = !take('.') || digits();
  bool exponent = true;
  if (take('e') || take('E')) {
    if (!take('-')) take('+');
    exponent = digits();
  }
  if (whole && fraction && exponent) return true;
  position_ = start;
  return mistake("expected a JSON value");
}

bool JsonLine::word(std::string_view expected) {
  if (!line_.substr(position_).starts_with(expected)) return mistake("expected a JSON value");
  position_ += expected.size();
  return true;
}

void JsonLine::space() {
  while (position_ < line_.size() && (line_[position_] == ' ' || line_[position_] == '\t' ||
                                      line_[position_] == '\r' || line_[position_] == '\n')) {
    ++position_;
  }
}

bool JsonLine::take(char expected) {
  if (position_ == line_.size() || line_[position_] != expected) return false;
  ++position_;
  return true;
}

bool JsonLine::mistake(std::string reason) {
  reason_ = std::move(reason);
  return false;
}

}  // namespace heddle
