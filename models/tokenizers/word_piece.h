// WordPiece: the longest token that begins the word, then the longest one with the prefix "##" that
// goes on, and so forth (Schuster and Nakajima, "Japanese and Korean voice search", 2012). A word
// that cannot be covered, or is too long, is one unknown token.
#pragma once

#include "models/tokenizers/parts.h"
#include "models/tokenizers/vocabulary.h"

namespace heddle {

class WordPiece final : public Model {
 public:
  struct Options {
    std::string unknown_token = "[UNK]";
    std::string continuation_prefix = "##";
    size_t longest_word = 100;  // code points
  };

  // Throws std::invalid_argument if the unknown token is not in the vocabulary.
  WordPiece(Vocabulary vocabulary, Options options);

  void tokenize(std::string_view word, std::vector<Piece>& pieces) const override;
  std::optional<int32_t> token_to_id(std::string_view token) const override {
    return vocabulary_.id(token);
  }
  std::optional<std::string_view> id_to_token(int32_t id) const override {
    return vocabulary_.token(id);
  }
  size_t vocab_size() const override { return vocabulary_.size(); }
  int32_t id_bound() const override { return vocabulary_.id_bound(); }
  std::string_view unknown_token() const override { return options_.unknown_token; }

  int32_t unknown_id() const { return unknown_id_; }
  const Options& options() const { return options_; }

 private:
  Vocabulary vocabulary_;
  Options options_;
  uint64_t continuation_hash_;  // of the prefix, which every further piece begins with
  int32_t unknown_id_;
};

}  // namespace heddle
