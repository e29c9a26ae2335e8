// BertNormalizer, BertPreTokenizer and WordPiece in one pass over the bytes, without offsets.
//
// ASCII white space and punctuation cut a text into words that do not depend on each other. A word
// of ASCII letters and digits needs only lower-casing and a look into the cache; any other word
// goes through the parts themselves, so that nothing is defined twice.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "models/tokenizers/scratch.h"
#include "models/tokenizers/word_piece.h"

namespace heddle {

class FusedBert {
 public:
  // Null if these are not the parts that it stands for. The parts must outlive every `append`.
  static std::shared_ptr<const FusedBert> make(const Normalizer* normalizer,
                                               const PreTokenizer* pre_tokenizer,
                                               const Model& model);

  // Appends the ids of a text without added tokens to `ids`; may stop once there are `most`.
  // Throws Error(kInput) if the text is not UTF-8. The caches must hold words of this object only.
  void append(std::string_view text, size_t most, TokenizerScratch::State& scratch,
              IdBuffer& ids) const;

 private:
  FusedBert(const Normalizer& normalizer, const PreTokenizer& pre_tokenizer, const WordPiece& model,
            bool lowercase);

  void append_letters(std::string_view word, TokenizerScratch::State& scratch, IdBuffer& ids) const;
  void append_any(std::string_view word, TokenizerScratch::State& scratch, IdBuffer& ids) const;

  const Normalizer& normalizer_;
  const PreTokenizer& pre_tokenizer_;
  const WordPiece& model_;
  bool lowercase_;
  std::array<int32_t, 128> punctuation_ids_{};
};

}  // namespace heddle
