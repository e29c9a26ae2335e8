// Words and the ids they become, for one thread. Two caches: short words with few ids in a table
// that is one memory access away, the rest by hash with their bytes kept to compare.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

// Up to 16 bytes of a word, zeros behind it.
struct ShortWord {
  uint64_t low = 0;
  uint64_t high = 0;

  ShortWord() = default;
  ShortWord(uint64_t low_bytes, uint64_t high_bytes) : low(low_bytes), high(high_bytes) {}
  explicit ShortWord(std::string_view word) {
    char bytes[16] = {};
    std::memcpy(bytes, word.data(), word.size());
    std::memcpy(&low, bytes, 8);
    std::memcpy(&high, bytes + 8, 8);
  }
  bool operator==(const ShortWord&) const = default;
};

class ShortWordCache {
 public:
  static constexpr int kMostIds = 3;
  struct Entry {
    ShortWord word;  // all zeros: free
    int32_t count = 0;
    int32_t ids[kMostIds] = {};
  };

  // Null if the word is not there. The entry holds until the next `insert`.
  const Entry* find(ShortWord word) const {
    const Entry* pair = &entries_[place(word)];
    if (pair[0].word == word) return &pair[0];
    return pair[1].word == word ? &pair[1] : nullptr;
  }
  // At most kMostIds ids. The older of the two words at its place goes.
  const Entry* insert(ShortWord word, std::span<const int32_t> ids) {
    Entry* pair = &entries_[place(word)];
    pair[1] = pair[0];
    pair[0].word = word;
    pair[0].count = static_cast<int32_t>(ids.size());
    for (size_t i = 0; i < ids.size(); ++i) pair[0].ids[i] = ids[i];
    return &pair[0];
  }
  void clear() { entries_.assign(kEntries, Entry{}); }

 private:
  static constexpr int kBits = 14;
  static constexpr size_t kEntries = size_t{1} << kBits;

  static size_t place(ShortWord word) {
    const uint64_t hash =
        word.low * 0x9E3779B97F4A7C15 + (word.high ^ word.low >> 29) * 0xD6E8FEB86659FD93;
    return (hash >> (64 - kBits)) & ~size_t{1};
  }

  std::vector<Entry> entries_ = std::vector<Entry>(kEntries);
};

class LongWordCache {
 public:
  // Nothing if the word is not there; ids of a word are never empty, save for one that is there and
  // vanishes: then `known` is set. The span holds until the next `insert`.
  std::span<const int32_t> find(std::string_view word, uint64_t hash, bool* known) const;
  // Does nothing for a word that is too long to keep.
  void insert(std::string_view word, uint64_t hash, std::span<const int32_t> ids);
  void clear();

 private:
  struct Slot {
    uint64_t hash = 0;
    uint32_t word = 0;       // in bytes_
    uint32_t word_size = 0;  // 0: free
    uint32_t ids = 0;        // in ids_
    uint32_t count = 0;
  };
  static constexpr size_t kSlots = 1 << 14;  // cleared when half of them are taken
  static constexpr size_t kMostBytes = 1 << 20;
  static constexpr size_t kLongest = 256;  // bytes; what is longer hardly comes twice

  std::vector<Slot> slots_ = std::vector<Slot>(kSlots);
  std::string bytes_;
  std::vector<int32_t> ids_;
  size_t taken_ = 0;
};

}  // namespace heddle
