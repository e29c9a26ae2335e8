// What a TokenizerScratch holds. Private to this folder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/tokenizers/tokenizer.h"
#include "models/tokenizers/word_cache.h"

namespace heddle {

// Ids of one sequence, with room made ahead so that the inner loop does not ask.
class IdBuffer {
 public:
  void clear() { size_ = 0; }
  size_t size() const { return size_; }
  const int32_t* data() const { return ids_.data(); }
  // Room for `more` ids behind those that are there.
  void reserve_more(size_t more) {
    if (size_ + more > ids_.size()) ids_.resize(2 * (size_ + more));
  }
  // Where the next ids go; `advance` says how many were put there.
  int32_t* next() { return ids_.data() + size_; }
  void advance(size_t count) { size_ += count; }

 private:
  std::vector<int32_t> ids_;
  size_t size_ = 0;
};

// Memory of the way that works for every part.
struct WordMemory {
  AlignedText text;
  AlignedText spare;
  std::vector<TextRange> words;
  std::vector<Piece> pieces;
  std::string word;
  std::vector<int32_t> ids;
};

struct TokenizerScratch::State {
  IdBuffer first;
  IdBuffer second;
  std::vector<AddedSpan> spans;
  WordMemory memory;
  ShortWordCache short_words;
  LongWordCache long_words;
  // Whose words the caches hold. Kept alive, so that no other can have its address.
  std::shared_ptr<const FusedBert> owner;
};

}  // namespace heddle
