// A set of tokens with their ids, in two flat arrays, found by a hash that can be extended byte by
// byte: all prefixes of a word are looked up in one pass over it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

struct VocabularyToken {
  std::string_view text;
  int32_t id = 0;
};

class Vocabulary {
 public:
  static constexpr uint64_t kHashSeed = 0x9E3779B97F4A7C15;
  static uint64_t extend_hash(uint64_t hash, uint8_t byte) {
    return (hash ^ byte) * 0xD6E8FEB86659FD93;
  }
  static uint64_t hash_of(std::string_view bytes, uint64_t hash = kHashSeed) {
    for (const char byte : bytes) hash = extend_hash(hash, static_cast<uint8_t>(byte));
    return hash;
  }

  Vocabulary() = default;
  // Ids and tokens must be unique and ids not negative: std::invalid_argument otherwise.
  explicit Vocabulary(std::vector<VocabularyToken> tokens);

  size_t size() const { return entries_.size(); }
  int32_t id_bound() const { return entries_.empty() ? 0 : entries_.back().id + 1; }
  size_t longest() const { return longest_; }  // bytes

  std::optional<int32_t> id(std::string_view token) const;
  std::optional<std::string_view> token(int32_t id) const;

  // The id of the token `prefix` + `rest`, whose hash is `hash`; -1 if there is none.
  int32_t find(uint64_t hash, std::string_view prefix, std::string_view rest) const {
    for (size_t slot = hash >> shift_;; ++slot) {
      const Slot& found = slots_[slot & mask_];
      if (found.entry < 0) return -1;
      if (found.tag == static_cast<uint32_t>(hash) && equals(found.entry, prefix, rest)) {
        return entries_[static_cast<size_t>(found.entry)].id;
      }
    }
  }

 private:
  struct Entry {
    int32_t id;
    uint32_t begin;  // in bytes_; it ends where the next one begins
  };
  struct Slot {
    uint32_t tag = 0;
    int32_t entry = -1;  // -1: free
  };

  std::string_view text(size_t entry) const;
  bool equals(int32_t entry, std::string_view prefix, std::string_view rest) const;

  std::string bytes_;
  std::vector<Entry> entries_;  // by id
  std::vector<Slot> slots_ = std::vector<Slot>(2);
  size_t mask_ = 1;
  int shift_ = 63;
  size_t longest_ = 0;
};

}  // namespace heddle
