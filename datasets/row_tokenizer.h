// What turns a row's text into token ids: the seam between tokenizers and data sets.
//
//   MakeRowTokenizer make = row_tokenizers(tokenizer, {.max_length = 128});
//   RowTokenizer tokenize = make();           // one a thread
//   TokenWindows windows;
//   tokenize("a text", std::nullopt, windows);
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/tokenizers/tokenizer.h"

namespace heddle {

// Sequences one after another: one a row, or several where a long text becomes windows.
struct TokenWindows {
  std::vector<int32_t> ids;
  std::vector<uint32_t> ends;  // where each sequence ends in ids
  std::vector<uint32_t>
      pair_begins;  // in each sequence, its first token of type 1; else its length

  int64_t count() const { return static_cast<int64_t>(ends.size()); }
  std::span<const int32_t> window(int64_t i) const;
  // Makes a sequence of the ids behind the last one.
  void end_window(uint32_t pair_begin);
  void clear();
};

// Appends the sequences of a row. May throw Error for a row that it cannot cut as asked. For one
// thread at a time.
using RowTokenizer = std::function<void(std::string_view text, std::optional<std::string_view> pair,
                                        TokenWindows& out)>;
using MakeRowTokenizer = std::function<RowTokenizer()>;

// Row tokenizers that share `tokenizer`. With `options.windows`, each row gives all its windows.
MakeRowTokenizer row_tokenizers(std::shared_ptr<const Tokenizer> tokenizer,
                                const EncodeOptions& options);

// Stands for the ids that they give: a hash of the tokenizer's files and of the options.
std::string tokenizer_fingerprint(const Tokenizer& tokenizer, const EncodeOptions& options);

}  // namespace heddle
