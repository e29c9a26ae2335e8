// What an interrupted RowWriter has left behind.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/paths.h"
#include "framework/io/file_system.h"

namespace heddle {

struct WrittenRows {
  int64_t rows = 0;    // whole ones, without the header
  uint64_t bytes = 0;  // of the header and of those rows; 0 if not even the header is whole
};

// Finds the whole rows at the front of `file`, in bounded memory. A row without its line break is
// torn; so is one with a NUL, which a file system may leave where it lost what was written, and all
// behind it. Throws Error (kInput) if the header, or the keys of the first JSONL row, are others.
WrittenRows find_written_rows(File& file, Format format, const std::string& header,
                              const std::vector<std::string>& columns);

}  // namespace heddle
