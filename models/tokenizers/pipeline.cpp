#include "models/tokenizers/pipeline.h"

#include "models/tokenizers/unicode.h"
#include "models/tokenizers/words.h"

namespace heddle {

namespace {

class Pipeline {
 public:
  Pipeline(const Tokenizer::Parts& parts, StageTexts* seen) : parts_(parts), seen_(seen) {}

  SequenceTokens run(std::string_view raw) {
    std::vector<AddedSpan> spans;
    parts_.added.split(raw, spans);
    for (const AddedSpan& span : spans) {
      const std::string_view piece = raw.substr(span.begin, span.end - span.begin);
      const auto first = static_cast<uint32_t>(count_code_points(raw.substr(0, span.begin)));
      if (seen_ != nullptr) seen_->spans.emplace_back(piece);
      decode_text(piece, text_, first);
      if (span.id >= 0) {
        add_token(span.id, {first, first + static_cast<uint32_t>(text_.size())});
      } else {
        add_text();
      }
    }
    return std::move(tokens_);
  }

 private:
  void add_token(int32_t id, TextRange source) {
    tokens_.ids.push_back(id);
    tokens_.offsets.push_back(source);
    if (seen_ != nullptr) seen_->words.push_back(parts_.added.token(id)->content);
  }

  // `text_`, in which no raw added token is left.
  void add_text() {
    if (parts_.normalizer) parts_.normalizer->normalize(text_, spare_);
    if (seen_ != nullptr) {
      encode_word(text_, {0, static_cast<uint32_t>(text_.size())}, word_);
      seen_->normalized.push_back(word_);
    }
    std::vector<AddedSpan> spans;
    parts_.added.split_normalized(text_.chars, spans);
    for (const AddedSpan& span : spans) {
      if (span.id >= 0) {
        add_token(span.id, {text_.source[span.begin].begin, text_.source[span.end - 1].end});
        continue;
      }
      part_.chars.assign(text_.chars, span.begin, span.end - span.begin);
      part_.source.assign(text_.source.begin() + span.begin, text_.source.begin() + span.end);
      add_words();
    }
  }

  // The words of `part_`.
  void add_words() {
    words_.clear();
    if (parts_.pre_tokenizer) {
      parts_.pre_tokenizer->split(part_, words_);
    } else {
      words_.push_back({0, static_cast<uint32_t>(part_.size())});
    }
    for (const TextRange range : words_) {
      encode_word(part_, range, word_);
      if (seen_ != nullptr) seen_->words.push_back(word_);
      pieces_.clear();
      parts_.model->tokenize(word_, pieces_);
      uint32_t byte = 0;
      uint32_t character = range.begin;  // the one that begins at `byte` of the word
      const auto advance_to = [&](uint32_t end) {
        for (; byte < end; ++byte) {
          const bool last = byte + 1 == word_.size() || (word_[byte + 1] & 0xC0) != 0x80;
          character += last ? 1 : 0;
        }
      };
      for (const Piece& piece : pieces_) {
        advance_to(piece.begin);
        const uint32_t from = part_.source[character].begin;
        advance_to(piece.end);
        tokens_.ids.push_back(piece.id);
        tokens_.offsets.push_back({from, part_.source[character - 1].end});
      }
    }
  }

  const Tokenizer::Parts& parts_;
  StageTexts* seen_;
  SequenceTokens tokens_;
  AlignedText text_;
  AlignedText spare_;
  AlignedText part_;
  std::vector<TextRange> words_;
  std::vector<Piece> pieces_;
  std::string word_;
};

}  // namespace

SequenceTokens run_pipeline(const Tokenizer::Parts& parts, std::string_view text,
                            StageTexts* seen) {
  return Pipeline(parts, seen).run(text);
}

}  // namespace heddle
