#include "models/tokenizers/vocabulary.h"

#include <algorithm>
#include <bit>

#include "framework/core/error.h"

namespace heddle {

Vocabulary::Vocabulary(std::vector<VocabularyToken> tokens) {
  const auto by_id = [](const VocabularyToken& a, const VocabularyToken& b) { return a.id < b.id; };
  if (!std::is_sorted(tokens.begin(), tokens.end(), by_id)) {
    std::sort(tokens.begin(), tokens.end(), by_id);
  }
  size_t total = 0;
  for (const auto& [token, id] : tokens) total += token.size();
  bytes_.reserve(total);
  entries_.reserve(tokens.size());
  // At most half full, so that a miss ends soon.
  const size_t slots = std::bit_ceil(std::max<size_t>(2, 2 * tokens.size()));
  slots_.assign(slots, Slot{});
  mask_ = slots - 1;
  shift_ = 64 - std::countr_zero(slots);
  for (const auto& [token, id] : tokens) {
    check(id >= 0, "[vocabulary] token '{}' has the id {}. Expected at least 0.", token, id);
    check(entries_.empty() || entries_.back().id != id,
          "[vocabulary] tokens '{}' and '{}' have the same id {}.", text(entries_.size() - 1),
          token, id);
    const uint64_t hash = hash_of(token);
    const int32_t other = find(hash, "", token);
    check(other < 0, "[vocabulary] token '{}' has two ids, {} and {}.", token, other, id);
    size_t slot = hash >> shift_;
    while (slots_[slot & mask_].entry >= 0) ++slot;
    slots_[slot & mask_] = {static_cast<uint32_t>(hash), static_cast<int32_t>(entries_.size())};
    entries_.push_back({id, static_cast<uint32_t>(bytes_.size())});
    bytes_ += token;
    longest_ = std::max(longest_, token.size());
  }
}

std::string_view Vocabulary::text(size_t entry) const {
  if (entry >= entries_.size()) return {};
  const uint32_t begin = entries_[entry].begin;
  const size_t end = entry + 1 < entries_.size() ? entries_[entry + 1].begin : bytes_.size();
  return std::string_view(bytes_).substr(begin, end - begin);
}

bool Vocabulary::equals(int32_t entry, std::string_view prefix, std::string_view rest) const {
  const std::string_view token = text(static_cast<size_t>(entry));
  return token.size() == prefix.size() + rest.size() && token.substr(prefix.size()) == rest &&
         token.substr(0, prefix.size()) == prefix;
}

std::optional<int32_t> Vocabulary::id(std::string_view token) const {
  const int32_t found = find(hash_of(token), "", token);
  return found < 0 ? std::nullopt : std::optional(found);
}

std::optional<std::string_view> Vocabulary::token(int32_t id) const {
  // Where ids have no gaps, the place is the id.
  auto found = entries_.begin() + std::clamp<int64_t>(id, 0, static_cast<int64_t>(entries_.size()));
  if (found == entries_.end() || found->id != id) {
    found = std::lower_bound(entries_.begin(), entries_.end(), id,
                             [](const Entry& entry, int32_t wanted) { return entry.id < wanted; });
  }
  if (found == entries_.end() || found->id != id) return std::nullopt;
  return text(static_cast<size_t>(found - entries_.begin()));
}

}  // namespace heddle
