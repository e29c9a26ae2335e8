// How a RankBoard lies in memory. Everything is atomic: one rank writes, others look at any time.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "framework/comm/rank_board.h"

namespace heddle {

// A text of at most 8 * kWords - 1 letters; longer ones are cut. A reader may see the beginning of
// one and the end of another, never anything else.
template <size_t kWords>
class SharedText {
 public:
  void store(std::string_view text) {
    text = text.substr(0, 8 * kWords - 1);
    for (size_t i = 0; i < kWords; ++i) {
      uint64_t word = 0;
      if (text.size() > 8 * i)
        std::memcpy(&word, &text[8 * i], std::min<size_t>(8, text.size() - 8 * i));
      words_[i].store(word, std::memory_order_relaxed);
    }
  }
  std::string load() const {
    std::array<char, 8 * kWords + 1> text{};
    for (size_t i = 0; i < kWords; ++i) {
      const uint64_t word = words_[i].load(std::memory_order_relaxed);
      std::memcpy(&text[8 * i], &word, 8);
    }
    return text.data();
  }

 private:
  std::array<std::atomic<uint64_t>, kWords> words_;
};

// A collective that a rank has entered; sequence 0: none, or being written.
struct alignas(64) BoardEntry {
  std::atomic<int64_t> sequence;
  std::atomic<uint64_t> hash;
  std::atomic<int64_t> count;
  SharedText<1> dtype;
  SharedText<4> operation;
  SharedText<8> name;
};

// A rank's place in one of its groups.
struct alignas(64) BoardChannel {
  static constexpr int64_t kRing = 4;  // a rank may be ahead of another by some collectives

  std::atomic<uint64_t> group;    // 0: free
  std::atomic<int64_t> sequence;  // of the last collective
  SharedText<6> label;
  std::array<BoardEntry, kRing> ring;

  BoardEntry& at(int64_t n) { return ring[static_cast<size_t>(n % kRing)]; }
};

struct alignas(64) BoardRank {
  std::atomic<int32_t> process;
  std::atomic<int32_t> rank;
  std::atomic<int32_t> channel;  // of the last collective, plus one
  std::atomic<uint32_t> reported;
  SharedText<8> doing;
  std::array<BoardChannel, RankBoard::kChannels> channels;
};

struct RankBoard::Page {
  alignas(64) std::atomic<uint32_t> alarm;

  // They lie behind the page.
  BoardRank& rank(int place) { return reinterpret_cast<BoardRank*>(this + 1)[place]; }
};
static_assert(std::atomic<uint64_t>::is_always_lock_free, "processes share these");

}  // namespace heddle
