// Folders of tokenizers that the reference implementation gave answers for.
#pragma once

#include <memory>
#include <string>

#include "models/tokenizers/tokenizer.h"

namespace heddle {

inline std::string fixture(const std::string& name) {
  return std::string(HEDDLE_SOURCE_DIR) + "/tests/models/tokenizers/fixtures/" + name;
}

// A vocabulary of a few words, to be changed by a test: tokenizer.json of it, with `model` holding
// [PAD] [UNK] [CLS] [SEP] [MASK] a b ab ##b ##c c , .
inline std::string small_tokenizer_json(const std::string& added = "[]",
                                        const std::string& normalizer = "null",
                                        const std::string& post_processor = "null") {
  return R"({"version": "1.0", "added_tokens": )" + added + R"(, "normalizer": )" + normalizer +
         R"(, "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": )" + post_processor +
         R"(, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 100, "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2,
              "[SEP]": 3, "[MASK]": 4, "a": 5, "b": 6, "ab": 7, "##b": 8, "##c": 9, "c": 10,
              ",": 11, ".": 12}}})";
}

inline std::shared_ptr<const Tokenizer> small_tokenizer(
    const std::string& added = "[]", const std::string& normalizer = "null",
    const std::string& post_processor = "null") {
  return load_tokenizer_from_files(
      {{"tokenizer.json", small_tokenizer_json(added, normalizer, post_processor)}}, "small");
}

}  // namespace heddle
