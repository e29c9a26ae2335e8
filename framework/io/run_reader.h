// Reads the runs that a box of a stored array consists of: long ones straight to their place, short
// ones many at once through a buffer, so that a narrow column costs no system call an element.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "framework/io/box.h"
#include "framework/io/file_system.h"

namespace heddle {

class RunReader {
 public:
  // The array begins at `offset` of `file`; `target` receives what each run says.
  RunReader(File& file, uint64_t offset, size_t element_bytes, std::span<std::byte> target)
      : file_(file), offset_(offset), element_bytes_(element_bytes), target_(target) {}

  // Runs come in ascending order of `source`. The bytes may arrive only with `flush`.
  void add(BoxRun run);
  void flush();

 private:
  struct Piece {
    uint64_t start;  // in the array, in bytes
    std::span<std::byte> place;
  };

  File& file_;
  uint64_t offset_;
  size_t element_bytes_;
  std::span<std::byte> target_;
  std::vector<Piece> pending_;
  std::vector<std::byte> buffer_;
};

}  // namespace heddle
