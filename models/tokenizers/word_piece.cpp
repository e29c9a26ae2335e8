#include "models/tokenizers/word_piece.h"

#include <algorithm>

#include "framework/core/error.h"
#include "models/tokenizers/unicode.h"

namespace heddle {

WordPiece::WordPiece(Vocabulary vocabulary, Options options)
    : vocabulary_(std::move(vocabulary)),
      options_(std::move(options)),
      continuation_hash_(Vocabulary::hash_of(options_.continuation_prefix)),
      unknown_id_(vocabulary_.id(options_.unknown_token).value_or(-1)) {
  check(unknown_id_ >= 0,
        "[word_piece] the unknown token '{}' is not in the vocabulary of {} tokens",
        options_.unknown_token, vocabulary_.size());
}

void WordPiece::tokenize(std::string_view word, std::vector<Piece>& pieces) const {
  const auto size = static_cast<uint32_t>(word.size());
  const size_t before = pieces.size();
  const auto unknown = [&] {
    pieces.resize(before);
    pieces.push_back({unknown_id_, 0, size});
  };
  if (size > options_.longest_word && count_code_points(word) > options_.longest_word) {
    return unknown();
  }
  std::string_view prefix;
  uint64_t seed = Vocabulary::kHashSeed;
  for (uint32_t begin = 0; begin < size;) {
    Piece longest{-1, begin, begin};
    const size_t most = std::min<size_t>(
        size - begin, vocabulary_.longest() - std::min(prefix.size(), vocabulary_.longest()));
    uint64_t hash = seed;
    for (size_t length = 1; length <= most; ++length) {
      hash = Vocabulary::extend_hash(hash, static_cast<uint8_t>(word[begin + length - 1]));
      const bool inside = begin + length < size && (word[begin + length] & 0xC0) == 0x80;
      if (inside) continue;  // a piece ends where a code point does
      const int32_t id = vocabulary_.find(hash, prefix, word.substr(begin, length));
      if (id >= 0) longest = {id, begin, static_cast<uint32_t>(begin + length)};
    }
    if (longest.id < 0) return unknown();
    pieces.push_back(longest);
    begin = longest.end;
    prefix = options_.continuation_prefix;
    seed = continuation_hash_;
  }
}

}  // namespace heddle
