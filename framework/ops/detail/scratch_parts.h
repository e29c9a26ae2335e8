// Parts of a block of scratch memory.
//
//   struct Room {
//     explicit Room(float* block) : parts(block), scores(parts.take<float>(4096)), … {}
//     ScratchParts parts;
//     float* scores;
//   };
//   Room room(allocate(Room(nullptr).parts.floats()));
#pragma once

#include <cstdint>

namespace heddle {

// Hands out parts of `block`, from its start, each in lines of 64 bytes of its own. Without a block
// the parts are null, and only counted.
class ScratchParts {
 public:
  explicit ScratchParts(float* block) : block_(block) {}

  template <typename T>
  T* take(int64_t count) {
    float* const part = block_ == nullptr ? nullptr : block_ + floats_;
    floats_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 16;
    return reinterpret_cast<T*>(part);
  }

  // Of all parts so far.
  int64_t floats() const { return floats_; }

 private:
  float* block_;
  int64_t floats_ = 0;
};

}  // namespace heddle
