#include "datasets/paths.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "framework/core/error.h"
#include "framework/core/nearest_name.h"

namespace heddle {
namespace {

namespace fs = std::filesystem;

bool is_pattern(std::string_view path) {
  return path.find_first_of("*?[") != std::string_view::npos;
}

std::vector<std::string> match(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) {
      if (!fs::is_directory(found.gl_pathv[i])) paths.emplace_back(found.gl_pathv[i]);
    }
  }
  ::globfree(&found);
  std::sort(paths.begin(), paths.end());
  return paths;
}

// "did you mean 'data/train.tsv'?", or what is missing or there instead.
std::string nearest_file(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return fmt::format("there is no folder {}", folder.string());
  }
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  const std::string nearest = nearest_name(path.filename().string(), names);
  if (nearest.empty()) return fmt::format("no file in {} has a name like it", folder.string());
  return fmt::format("did you mean '{}'?", (path.parent_path() / nearest).string());
}

}  // namespace

Format format_of(std::string_view path) {
  std::string_view name = path;
  for (const std::string_view compressed : {".gz", ".zst"}) {
    if (name.ends_with(compressed)) name.remove_suffix(compressed.size());
  }
  for (const std::string_view ending : {".tsv", ".tab"}) {
    if (name.ends_with(ending)) return Format::kTsv;
  }
  for (const std::string_view ending : {".jsonl", ".ndjson"}) {
    if (name.ends_with(ending)) return Format::kJsonl;
  }
  for (const std::string_view ending : {".txt", ".text"}) {
    if (name.ends_with(ending)) return Format::kText;
  }
  if (name.ends_with(".csv")) return Format::kCsv;
  throw Error(ExitCode::kInput, fmt::format("{}: the ending does not say the format", path),
              "known: .tsv, .csv, .jsonl, .txt; a file to read may end in .gz or .zst after that");
}

void require_file(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    throw Error(ExitCode::kInput, fmt::format("{}: no such file", path), nearest_file(path));
  }
  if (status.type() == fs::file_type::directory) {
    throw Error(ExitCode::kInput, fmt::format("{}: is a folder. Expected a file", path),
                fmt::format("for all the files in it: {}", (fs::path(path) / "*.tsv").string()));
  }
}

void require_output(const std::string& output, std::span<const std::string> inputs) {
  const std::vector<std::string> paths = expand_paths(inputs);
  if (output == "-") return;
  std::error_code error;
  if (fs::is_directory(output, error)) {
    throw Error(ExitCode::kInput, fmt::format("{}: is a folder. Expected a file to write", output),
                fmt::format("for instance {}", (fs::path(output) / "answers.tsv").string()));
  }
  for (const std::string& input : paths) {
    if (input == "-") continue;
    if (!fs::equivalent(output, input, error) && !fs::equivalent(output + ".part", input, error)) {
      continue;
    }
    throw Error(ExitCode::kInput,
                fmt::format("{}: is read and would be written over by -o {}", input, output),
                "name another output");
  }
}

std::vector<std::string> expand_paths(std::span<const std::string> patterns) {
  std::vector<std::string> paths;
  for (const std::string& pattern : patterns) {
    // A file whose name holds a bracket is itself, not a pattern.
    if (pattern == "-" || !is_pattern(pattern) || fs::exists(pattern)) {
      if (pattern != "-") require_file(pattern);
      paths.push_back(pattern);
      continue;
    }
    const std::vector<std::string> found = match(pattern);
    if (found.empty()) {
      throw Error(ExitCode::kInput, fmt::format("{}: no file matches this pattern", pattern),
                  nearest_file(pattern));
    }
    paths.insert(paths.end(), found.begin(), found.end());
  }
  std::set<std::string> seen;
  for (const std::string& path : paths) {
    if (!seen.insert(fs::path(path).lexically_normal().string()).second) {
      throw Error(ExitCode::kInput,
                  fmt::format("{}: is named twice; its rows would count twice", path),
                  "leave it out of the list, or make the pattern narrower");
    }
  }
  return paths;
}

}  // namespace heddle
