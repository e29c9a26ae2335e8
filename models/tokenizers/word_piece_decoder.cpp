#include "models/tokenizers/word_piece_decoder.h"

#include <array>
#include <span>

namespace heddle {

namespace {

struct Replacement {
  std::string_view from;
  std::string_view to;
};

// In the order in which the reference applies them.
constexpr std::array<Replacement, 11> kWithinToken = {{{" .", "."},
                                                       {" ?", "?"},
                                                       {" !", "!"},
                                                       {" ,", ","},
                                                       {" ' ", "'"},
                                                       {" n't", "n't"},
                                                       {" 'm", "'m"},
                                                       {" do not", " don't"},
                                                       {" 's", "'s"},
                                                       {" 've", "'ve"},
                                                       {" 're", "'re"}}};
constexpr std::array<Replacement, 10> kWithinText = {{{" .", "."},
                                                      {" ?", "?"},
                                                      {" !", "!"},
                                                      {" ,", ","},
                                                      {" ' ", "'"},
                                                      {" n't", "n't"},
                                                      {" 'm", "'m"},
                                                      {" 's", "'s"},
                                                      {" 've", "'ve"},
                                                      {" 're", "'re"}}};

void replace_all(std::string& text, std::span<const Replacement> replacements) {
  for (const auto& [from, to] : replacements) {
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
      text.replace(at, from.size(), to);
      at += to.size();
    }
  }
}

}  // namespace

std::string WordPieceDecoder::decode(const std::vector<std::string_view>& tokens) const {
  std::string text;
  std::string token;
  for (size_t i = 0; i < tokens.size(); ++i) {
    token.clear();
    const bool continues = tokens[i].substr(0, prefix_.size()) == prefix_;
    if (i > 0 && !continues) token.push_back(' ');
    token += tokens[i].substr(i > 0 && continues ? prefix_.size() : 0);
    if (cleanup_) replace_all(token, kWithinToken);
    text += token;
  }
  return text;
}

std::string clean_up_spaces(std::string text) {
  replace_all(text, kWithinText);
  return text;
}

}  // namespace heddle
