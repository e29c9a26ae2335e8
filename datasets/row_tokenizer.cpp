#include "datasets/row_tokenizer.h"

#include <algorithm>

#include "framework/io/hash.h"

namespace heddle {

std::span<const int32_t> TokenWindows::window(int64_t i) const {
  const auto index = static_cast<size_t>(i);
  const size_t begin = i == 0 ? 0 : ends[index - 1];
  return std::span(ids).subspan(begin, ends[index] - begin);
}

void TokenWindows::end_window(uint32_t pair_begin) {
  ends.push_back(static_cast<uint32_t>(ids.size()));
  pair_begins.push_back(pair_begin);
}

void TokenWindows::clear() {
  ids.clear();
  ends.clear();
  pair_begins.clear();
}

MakeRowTokenizer row_tokenizers(std::shared_ptr<const Tokenizer> tokenizer,
                                const EncodeOptions& options) {
  if (options.windows) {
    return [=]() -> RowTokenizer {
      return [=](std::string_view text, std::optional<std::string_view> pair, TokenWindows& out) {
        for (const Encoding& window : tokenizer->encode(text, pair, options)) {
          out.ids.insert(out.ids.end(), window.ids.begin(), window.ids.end());
          const auto second = std::find(window.type_ids.begin(), window.type_ids.end(), 1);
          out.end_window(static_cast<uint32_t>(second - window.type_ids.begin()));
        }
      };
    };
  }
  return [=]() -> RowTokenizer {
    return [=, scratch = std::make_shared<TokenizerScratch>()](
               std::string_view text, std::optional<std::string_view> pair, TokenWindows& out) {
      uint32_t pair_begin = 0;
      tokenizer->encode_ids(text, pair, options, *scratch, out.ids, &pair_begin);
      out.end_window(pair_begin);
    };
  };
}

std::string tokenizer_fingerprint(const Tokenizer& tokenizer, const EncodeOptions& options) {
  Hasher hasher;
  for (const auto& [name, content] : tokenizer.files()) {
    hasher.update(fmt::format("{} {}\n", name, content.size()));
    hasher.update(content);
  }
  hasher.update(fmt::format("{} {} {} {} {} {}", options.add_special_tokens, options.max_length,
                            static_cast<int>(options.truncation),
                            static_cast<int>(options.truncation_side), options.windows,
                            options.stride));
  return hasher.hex();
}

}  // namespace heddle
