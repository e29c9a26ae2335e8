// Padding, for the edges only: tests, export and other programs. Inside, batches are packed.
#pragma once

#include "models/tokenizers/tokenizer.h"

namespace heddle {

struct Padding {
  int length = 0;  // at least; longer encodings stay as they are
  int multiple_of = 1;
  Side side = Side::kRight;
  int32_t id = 0;
};

// Adds `id` with type 0, mask 0 and offset {0, 0} until the length is reached.
void pad(Encoding& encoding, const Padding& padding);

}  // namespace heddle
