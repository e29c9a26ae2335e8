// Sequences packed one after another, without padding, as plain arrays.
//
//   PackedSequences batch;
//   batch.add(ids, pair_begin, sample);      // once a sequence
//   batch.segments;                          // {0, 13, 20}: two sequences, of 13 and 7 tokens
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace heddle {

struct PackedSequences {
  std::vector<int32_t> ids;             // [T]
  std::vector<int32_t> positions;       // [T], from 0 in each sequence
  std::vector<int32_t> token_types;     // [T], 1 from a sequence's pair_begin on
  std::vector<int32_t> segments = {0};  // [S + 1], where each sequence starts, and T
  std::vector<int64_t> samples;         // [S], each sequence's index in its data set

  int64_t tokens() const { return segments.back(); }
  int64_t sequences() const { return static_cast<int64_t>(samples.size()); }

  // Adds a sequence. `pair_begin`: the first token of the second text; ids.size() without one.
  void add(std::span<const int32_t> ids, int64_t pair_begin, int64_t sample);
  // The same with room for `length` ids, which the caller fills.
  std::span<int32_t> add(int64_t length, int64_t pair_begin, int64_t sample);
  // Empties the arrays and keeps their memory.
  void clear();
};

}  // namespace heddle
