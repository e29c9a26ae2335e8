// The file behind TokenizedDataset. Little-endian; every part begins on a multiple of 8 bytes.
//
//   CacheHeader   192 bytes
//   ids           u16 or i32 [tokens]
//   offsets       u64 [sequences + 1], where each sequence begins in ids
//   pair_begins   i32 [sequences]
//   row_of        i64 [sequences], if there are more sequences than rows
//   labels        i32 [rows] or f32 [rows, label_width]
//   bad rows      char [bad_bytes]: "where\0reason\0" for each row skipped
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace heddle {

struct CacheHeader {
  static constexpr std::array<char, 8> kMagic = {'H', 'D', 'L', 'T', 'O', 'K', 'E', 'N'};
  static constexpr uint64_t kVersion = 1;

  std::array<char, 8> magic = kMagic;
  uint64_t version = kVersion;
  std::array<char, 32> key{};   // TokenizedDataset::key
  std::array<char, 32> hash{};  // xxh3-128 of what is behind the header, then of the header itself
                                // with zeros for this
  uint64_t sequences = 0;
  uint64_t rows = 0;
  uint64_t tokens = 0;
  uint64_t id_bytes = 0;
  uint64_t label_kind = 0;
  uint64_t label_width = 0;
  uint64_t bad_bytes = 0;
  std::array<uint64_t, 7> reserved{};
};
static_assert(sizeof(CacheHeader) == 192);

inline uint64_t padded(uint64_t bytes) {
  return (bytes + 7) / 8 * 8;
}

}  // namespace heddle
