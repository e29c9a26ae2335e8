// Where two runs part: for `heddle diff`, and for proving that they never do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framework/io/file_system.h"

namespace heddle {

struct FirstDifference {
  int64_t step = 0;
  std::string what;  // "loss 0x1.6p-1 and 0x1.8p-1", "parameter encoder.layers.0…"
};

struct RunComparison {
  std::optional<FirstDifference> first;  // none: equal in all that both have
  int64_t losses = 0;                    // steps whose losses were compared
  int64_t hashes = 0;                    // steps whose parameters were
  std::vector<std::string> warnings;     // lines of the logs that cannot be read
};

// Two runs by their logs, or two checkpoints (of runs too) by their tensors. Throws Error(kInput)
// if the two have nothing that can be compared.
RunComparison compare_runs(FileSystem& files, const std::string& a, const std::string& b);
RunComparison compare_checkpoints(FileSystem& files, const std::string& a, const std::string& b);

}  // namespace heddle
