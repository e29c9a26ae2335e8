#include "models/tokenizers/encode.h"

#include "framework/core/error.h"

namespace heddle {

namespace {

using Kind = TemplateItem::Kind;

// Windows of both sequences that belong together; 0 is the part that stays.
struct WindowPair {
  size_t first = 0;
  size_t second = 0;
};

// The reference merges item by item: each window there is so far with every one of the next
// sequence, then the part that stays with its further ones.
std::vector<WindowPair> window_pairs(const std::vector<TemplateItem>& items, size_t first_count,
                                     size_t second_count) {
  std::vector<WindowPair> further;
  for (const TemplateItem& item : items) {
    if (item.kind == Kind::kSpecial) continue;
    const bool is_first = item.kind == Kind::kFirst;
    size_t WindowPair::*which = is_first ? &WindowPair::first : &WindowPair::second;
    const size_t count = is_first ? first_count : second_count;
    std::vector<WindowPair> merged;
    for (WindowPair pair : further) {
      for (pair.*which = 0; pair.*which < count; ++(pair.*which)) merged.push_back(pair);
    }
    WindowPair kept;
    for (kept.*which = 1; kept.*which < count; ++(kept.*which)) merged.push_back(kept);
    further = std::move(merged);
  }
  further.insert(further.begin(), WindowPair{});
  return further;
}

class Assembler {
 public:
  Assembler(const EncodeOptions& options) : options_(options) {}

  void add_special(const TemplateItem& item) {
    if (!options_.add_special_tokens) return;
    for (const int32_t id : item.ids) add(id, item.type_id, {});
  }
  void add_tokens(const SequenceTokens& tokens, TextRange range, uint8_t type_id) {
    for (uint32_t i = range.begin; i < range.end; ++i) {
      add(tokens.ids[i], type_id, tokens.offsets[i]);
    }
  }
  Encoding take() { return std::move(encoding_); }

 private:
  void add(int32_t id, uint8_t type_id, TextRange offset) {
    encoding_.ids.push_back(id);
    encoding_.type_ids.push_back(type_id);
    encoding_.attention_mask.push_back(1);
    if (options_.offsets) encoding_.offsets.push_back(offset);
  }

  const EncodeOptions& options_;
  Encoding encoding_;
};

std::pair<uint32_t, uint32_t> kept_lengths(uint32_t first, uint32_t second, uint32_t room,
                                           Truncation strategy) {
  if (room == kNoTokenLimit) return {first, second};
  return truncated_lengths(first, second, room, strategy);
}

}  // namespace

uint32_t token_room(const EncodeOptions& options, const Template& specials, bool is_pair) {
  check(options.max_length >= 0 && options.stride >= 0,
        "[tokenizer] max_length is {} and stride {}. Expected at least 0.", options.max_length,
        options.stride);
  if (options.max_length == 0) return kNoTokenLimit;
  const int rest = options.max_length - specials.added(false);
  if (options.windows && rest >= 0 && rest < options.stride) {
    throw Error(ExitCode::kInput,
                fmt::format("a stride of {} is more than the {} tokens that max_length {} leaves",
                            options.stride, rest, options.max_length),
                "make the stride smaller or max_length larger");
  }
  const int added = options.add_special_tokens ? specials.added(is_pair) : 0;
  // As the reference, where the difference wraps around and is huge.
  if (options.max_length < added) return kNoTokenLimit;
  return static_cast<uint32_t>(options.max_length - added);
}

std::pair<TextRange, TextRange> kept_tokens(uint32_t first, uint32_t second, uint32_t room,
                                            const EncodeOptions& options) {
  const auto [a, b] = kept_lengths(first, second, room, options.truncation);
  if (options.truncation_side == Side::kRight) return {{0, a}, {0, b}};
  return {{first - a, first}, {second - b, second}};
}

std::vector<Encoding> assemble(const SequenceTokens& first, const SequenceTokens* second,
                               const Template& specials, const EncodeOptions& options) {
  const auto first_size = static_cast<uint32_t>(first.ids.size());
  const auto second_size = second == nullptr ? 0 : static_cast<uint32_t>(second->ids.size());
  const uint32_t room = token_room(options, specials, second != nullptr);
  std::vector<TextRange> first_windows;
  std::vector<TextRange> second_windows;
  if (options.windows) {
    const auto [a, b] = kept_lengths(first_size, second_size, room, options.truncation);
    const auto stride = static_cast<uint32_t>(options.stride);
    first_windows = truncation_windows(first_size, a, stride, options.truncation_side);
    second_windows = truncation_windows(second_size, b, stride, options.truncation_side);
  } else {
    const auto [a, b] = kept_tokens(first_size, second_size, room, options);
    first_windows = {a};
    second_windows = {b};
  }
  const std::vector<TemplateItem>& items = specials.items(second != nullptr);
  std::vector<Encoding> encodings;
  for (const WindowPair& pair : window_pairs(items, first_windows.size(), second_windows.size())) {
    Assembler assembler(options);
    for (const TemplateItem& item : items) {
      if (item.kind == Kind::kSpecial) {
        assembler.add_special(item);
      } else if (item.kind == Kind::kFirst) {
        // The reference gives the type of the template to the part that stays only.
        const uint8_t type_id = pair.first == 0 ? item.type_id : 0;
        assembler.add_tokens(first, first_windows[pair.first], type_id);
      } else {
        const uint8_t type_id = pair.second == 0 ? item.type_id : 1;
        assembler.add_tokens(*second, second_windows[pair.second], type_id);
      }
    }
    encodings.push_back(assembler.take());
  }
  return encodings;
}

}  // namespace heddle
