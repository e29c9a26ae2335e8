// Tokens that are found in the text before the model sees it: special tokens and those that a
// person added. Leftmost match first, at one place the longest.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "models/tokenizers/parts.h"

namespace heddle {

struct AddedToken {
  std::string content;
  bool single_word = false;  // only between characters that are no part of a word
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and the white space after it
  bool normalized = true;    // matches the normalized text, by its own normalized content
  bool special = false;      // left out of decoded text on request
  bool operator==(const AddedToken&) const = default;
};

// A stretch of a text: an added token, or what is between two of them (id -1).
struct AddedSpan {
  int32_t id = -1;
  uint32_t begin = 0;
  uint32_t end = 0;
};

class AddedTokens {
 public:
  // Adds a token, or changes the flags of one that is there, and returns its id: that of the
  // vocabulary, else the next free one. An empty token is ignored (-1).
  int32_t add(const AddedToken& token, const Model& model, const Normalizer* normalizer);
  // Call once, after the last `add`. Throws std::invalid_argument if two tokens look alike.
  void build();

  // Appends spans that cover a raw text of bytes, without the empty ones. Tokens that are not
  // normalized are looked for. An `rstrip` token may reach over the one after it, as in the
  // reference.
  void split(std::string_view text, std::vector<AddedSpan>& spans) const;
  // The same with normalized tokens in normalized code points.
  void split_normalized(std::u32string_view text, std::vector<AddedSpan>& spans) const;

  bool has_normalized() const { return !normalized_.first.empty(); }
  // True if `split` would give one span: a quick look for the first bytes of all tokens.
  bool has_none(std::string_view text) const;

  std::optional<int32_t> id(std::string_view content) const;
  // The form that decoding shows: that of a normalized token is its normalized content.
  const std::string* shown(int32_t id) const;
  const AddedToken* token(int32_t id) const;
  bool is_special(std::string_view content) const {
    return specials_.count(std::string(content)) > 0;
  }
  size_t count_outside(const Model& model) const;  // tokens that the model does not know
  const std::map<int32_t, AddedToken>& tokens() const { return by_id_; }

 private:
  // Tokens of one kind, by their first unit; those that begin alike, longest first.
  template <typename Char>
  struct Matcher {
    std::unordered_map<Char, std::vector<std::pair<std::basic_string<Char>, int32_t>>> first;
    void add(std::basic_string<Char> content, int32_t id);
  };
  template <typename Char, typename Strip>
  void split_by(std::basic_string_view<Char> text, const Matcher<Char>& matcher, const Strip& strip,
                std::vector<AddedSpan>& spans) const;

  std::map<int32_t, AddedToken> by_id_;
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<int32_t, std::string> normalized_content_;
  std::unordered_set<std::string> specials_;
  Matcher<char> raw_;
  Matcher<char32_t> normalized_;
  std::string first_bytes_;
};

}  // namespace heddle
