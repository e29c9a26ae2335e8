#include "models/tokenizers/word_cache.h"

namespace heddle {

std::span<const int32_t> LongWordCache::find(std::string_view word, uint64_t hash,
                                             bool* known) const {
  for (size_t at = hash >> 40;; ++at) {
    const Slot& slot = slots_[at % kSlots];
    *known = slot.word_size != 0;
    if (!*known) return {};
    if (slot.hash == hash && std::string_view(bytes_).substr(slot.word, slot.word_size) == word) {
      return std::span(ids_).subspan(slot.ids, slot.count);
    }
  }
}

void LongWordCache::insert(std::string_view word, uint64_t hash, std::span<const int32_t> ids) {
  if (word.empty() || word.size() > kLongest) return;
  if (taken_ >= kSlots / 2 || bytes_.size() + word.size() > kMostBytes) clear();
  size_t at = hash >> 40;
  while (slots_[at % kSlots].word_size != 0) ++at;
  slots_[at % kSlots] = {hash, static_cast<uint32_t>(bytes_.size()),
                         static_cast<uint32_t>(word.size()), static_cast<uint32_t>(ids_.size()),
                         static_cast<uint32_t>(ids.size())};
  bytes_ += word;
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  ++taken_;
}

void LongWordCache::clear() {
  slots_.assign(kSlots, Slot{});
  bytes_.clear();
  ids_.clear();
  taken_ = 0;
}

}  // namespace heddle
