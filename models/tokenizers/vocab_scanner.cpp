#include "models/tokenizers/vocab_scanner.h"

#include <charconv>
#include <limits>

#include "models/tokenizers/unicode.h"

namespace heddle {

namespace {

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::optional<ScannedVocab> run() {
    ScannedVocab found;
    if (!enter("model") || !enter("vocab")) return std::nullopt;
    const size_t begin = at_;
    if (!read_vocab(found)) return std::nullopt;
    found.rest.reserve(text_.size() - (at_ - begin) + 2);
    found.rest.append(text_.substr(0, begin)).append("{}").append(text_.substr(at_));
    return found;
  }

 private:
  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
      ++at_;
    }
  }
  bool accept(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  // From before an object to before the value of its member `key`.
  bool enter(std::string_view key) {
    if (!accept('{')) return false;
    do {
      std::string_view name;
      if (!accept('"') || !read_string(name) || !accept(':')) return false;
      skip_space();
      if (name == key) return true;
      if (!skip_value()) return false;
    } while (accept(','));
    return false;
  }

  // Over any value; the strict parser looks at it later.
  bool skip_value() {
    size_t depth = 0;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        std::string_view ignored;
        if (!read_string(ignored)) return false;
        --at_;
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if (c == '}' || c == ']' || c == ',') {
        if (depth == 0) return true;
        if (c != ',') --depth;
      }
    }
    return false;
  }

  bool read_vocab(ScannedVocab& found) {
    if (!accept('{')) return false;
    if (accept('}')) return true;
    do {
      VocabularyToken token;
      if (!accept('"') || !read_string(token.text) || !accept(':') || !read_id(token.id)) {
        return false;
      }
      if (escaped_) token.text = found.unescaped.emplace_back(std::move(unescaped_));
      found.tokens.push_back(token);
    } while (accept(','));
    return accept('}');
  }

  bool read_id(int32_t& id) {
    skip_space();
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), id);
    if (error != std::errc() || id < 0 || id == std::numeric_limits<int32_t>::max()) return false;
    const bool leading_zero = *begin == '0' && end - begin > 1;
    at_ += static_cast<size_t>(end - begin);
    return !leading_zero;
  }

  // From behind the opening quote to behind the closing one. With a backslash in it, `escaped_` is
  // set and the string is in `unescaped_`.
  bool read_string(std::string_view& string) {
    escaped_ = false;
    const size_t begin = at_;
    while (at_ < text_.size()) {
      const auto c = static_cast<uint8_t>(text_[at_]);
      if (c == '"') {
        string = escaped_ ? unescaped_ : text_.substr(begin, at_ - begin);
        ++at_;
        return true;
      }
      const size_t from = at_;
      if (c == '\\') {
        if (!escaped_) unescaped_ = text_.substr(begin, at_ - begin);
        escaped_ = true;
        if (!read_escape()) return false;
        continue;
      }
      if (c < 0x20 || !next_code_point(text_, at_).has_value()) return false;
      if (escaped_) unescaped_ += text_.substr(from, at_ - from);
    }
    return false;
  }

  bool read_escape() {
    if (at_ + 1 >= text_.size()) return false;
    const char c = text_[at_ + 1];
    at_ += 2;
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (const size_t which = kNames.find(c); which != std::string_view::npos) {
      unescaped_.push_back(kMeanings[which]);
      return true;
    }
    uint32_t unit = 0;
    if (c != 'u' || !read_hex(unit)) return false;
    char32_t code = unit;
    if (unit >= 0xD800 && unit <= 0xDFFF) {
      uint32_t low = 0;
      if (unit > 0xDBFF || text_.substr(at_, 2) != "\\u") return false;
      at_ += 2;
      if (!read_hex(low) || low < 0xDC00 || low > 0xDFFF) return false;
      code = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(code, unescaped_);
    return true;
  }

  bool read_hex(uint32_t& unit) {
    const std::string_view digits = text_.substr(at_, 4);
    const char* end = digits.data() + digits.size();
    at_ += digits.size();
    return digits.size() == 4 && std::from_chars(digits.data(), end, unit, 16).ptr == end;
  }

  std::string_view text_;
  size_t at_ = 0;
  bool escaped_ = false;
  std::string unescaped_;
};

}  // namespace

std::optional<ScannedVocab> scan_model_vocab(std::string_view text) {
  return Scanner(text).run();
}

}  // namespace heddle
