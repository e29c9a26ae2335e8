// BERT's normalizer: clean text, spaces around Chinese characters, strip accents, lower-case, each
// if asked for, in this order.
#pragma once

#include "models/tokenizers/parts.h"

namespace heddle {

class BertNormalizer final : public Normalizer {
 public:
  struct Options {
    bool clean_text = true;            // drop controls, turn white space into spaces
    bool handle_chinese_chars = true;  // each ideograph becomes a word
    bool strip_accents = true;
    bool lowercase = true;
  };

  explicit BertNormalizer(Options options) : options_(options) {}
  void normalize(AlignedText& text, AlignedText& spare) const override;
  const Options& options() const { return options_; }

 private:
  Options options_;
};

}  // namespace heddle
