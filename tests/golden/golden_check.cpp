// golden_check [--weights FOLDER] [--precision bf16] FOLDER...: compares folders of golden data
// with this program. One line a folder; exit code 1 if any is out of its tolerance. In bf16 the
// logits are compared, of models alone.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "framework/io/file_system.h"
#include "models/tokenizers/check_cases.h"
#include "models/tokenizers/tokenizer.h"
#include "tests/golden/check_model.h"

namespace heddle {
namespace {

// Prints the folder's line; true if all is well.
bool check_folder(const std::string& folder, const std::string& weights, Precision precision) {
  PosixFileSystem files;
  if (files.exists(join_path(folder, "cases.json")) &&
      !files.exists(join_path(folder, "config.json"))) {
    const CheckResult result =
        check_cases(*load_tokenizer(folder), join_path(folder, "cases.json"));
    const bool passed = result.failed == 0 && result.cases > 0;
    fmt::print("{:<55} {} {} of {} cases equal\n", folder, passed ? "ok    " : "FAILED",
               result.cases - result.failed, result.cases);
    for (const CaseMismatch& mismatch : result.mismatches) {
      fmt::print("    {}\n", mismatch.describe());
    }
    return passed;
  }
  const bool published = !files.exists(join_path(folder, "config.json"));
  if (published && weights.empty()) {
    fmt::print("{:<55} FAILED its weights are elsewhere: give --weights FOLDER\n", folder);
    return false;
  }
  const GoldenResult result =
      published ? check_minilm(folder, weights, precision) : check_model(folder, precision);
  fmt::print("{:<55} {} largest error {:.1e}, {:.0f} % of its tolerance ({}; {} compared)\n",
             folder, result.share <= 1 ? "ok    " : "FAILED", result.error, 100 * result.share,
             result.worst, result.values);
  return result.share <= 1;
}

int run(std::vector<std::string> arguments) {
  std::string weights, precision = "f32";
  while (arguments.size() >= 2 && arguments[0].starts_with("--")) {
    (arguments[0] == "--weights" ? weights : precision) = arguments[1];
    arguments.erase(arguments.begin(), arguments.begin() + 2);
  }
  if (arguments.empty() || (precision != "f32" && precision != "bf16")) {
    fmt::print(stderr, "usage: golden_check [--weights FOLDER] [--precision bf16] FOLDER...\n");
    return 64;
  }
  bool all_well = true;
  for (const std::string& folder : arguments) {
    try {
      all_well = check_folder(folder, weights, precision_from_name(precision)) && all_well;
    } catch (const std::exception& error) {
      fmt::print("{:<55} FAILED {}\n", folder, error.what());
      all_well = false;
    }
  }
  return all_well ? 0 : 1;
}

}  // namespace
}  // namespace heddle

int main(int argc, char** argv) {
  return heddle::run({argv + 1, argv + argc});
}
