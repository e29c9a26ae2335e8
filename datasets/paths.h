// Which files a person means, and what format they are in.
//
//   expand_paths({"data/part-*.tsv", "extra.csv.gz"});   // sorted within a pattern
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

enum class Format { kTsv, kCsv, kJsonl, kText };

// The format that the ending says, before .gz or .zst: .tsv .tab, .csv, .jsonl .ndjson, .txt .text.
// Throws Error (kInput) with the known endings for any other.
Format format_of(std::string_view path);

// Every file that `patterns` name: a path, "-", or a glob with * ? [...]. The files of a glob come
// in the order of their bytes. Throws Error (kInput) if a pattern matches no file, with the nearest
// name that exists, or if a file is named twice.
std::vector<std::string> expand_paths(std::span<const std::string> patterns);

// Throws Error (kInput), with the nearest name in its folder, unless `path` is a file (or a pipe).
void require_file(const std::string& path);

// Throws Error (kInput) unless `output` can become a file that is none of the files that `inputs`
// name: not a folder, and not an input, nor is OUTPUT.part, which stands for it until it is whole.
void require_output(const std::string& output, std::span<const std::string> inputs);

}  // namespace heddle
