#include "trainer/predict_job.h"

#include <fmt/ranges.h>

#include <filesystem>

#include "datasets/utf8.h"
#include "framework/io/hash.h"

namespace heddle {
namespace {

constexpr char kPrecisionPart[] = "precision";

// Tells weights from those of another model, without reading them all: of a large file only
// samples, all over it. That none of its bytes has changed is not what is asked.
std::string hash_of_weights(FileSystem& files, const std::string& path) {
  constexpr uint64_t kSamples = 64, kBytes = 16 << 10;
  const std::unique_ptr<File> file = files.open(path, OpenMode::kRead);
  const uint64_t size = file->size();
  if (size <= kSamples * kBytes) return hash_file(*file);
  Hasher hasher;
  std::vector<std::byte> sample(kBytes);
  for (uint64_t i = 0; i < kSamples; ++i) {
    file->read_at((size - kBytes) / (kSamples - 1) * i, sample);
    hasher.update(sample);
  }
  hasher.update(fmt::format("{} bytes", size));
  return hasher.hex();
}

// The manifest has the hash of every file of a checkpoint. A folder's files are read: whatever
// describes the model or its tokenizer, and the weights.
std::string hash_of_model(FileSystem& files, const std::string& path) {
  const std::string manifest = join_path(path, "manifest.json");
  if (files.exists(manifest)) return hash_file(files, manifest);
  Hasher hasher;
  for (const std::string& name : files.list(path)) {
    if (!name.ends_with(".json") && !name.ends_with(".txt") && !name.ends_with(".safetensors")) {
      continue;
    }
    const std::string file = join_path(path, name);
    if (!std::filesystem::is_regular_file(file)) continue;
    hasher.update(fmt::format(
        "{} {}\n", name,
        name.ends_with(".safetensors") ? hash_of_weights(files, file) : hash_file(files, file)));
  }
  return hasher.hex();
}

std::string hash_of_input(FileSystem& files, const std::vector<std::string>& paths, bool resume) {
  Hasher hasher;
  for (const std::string& path : paths) {
    std::error_code error;
    if (path != "-" && std::filesystem::is_regular_file(path, error)) {
      hasher.update(hash_file(files, path));
      continue;
    }
    if (resume) {
      throw Error(ExitCode::kInput,
                  fmt::format("--resume: {} is no file: its rows may be others by now",
                              path == "-" ? "standard input" : path),
                  "write the rows into a file first");
    }
    hasher.update("not a file");
  }
  return hasher.hex();
}

std::string options_text(const ServedModel& served, const PredictOptions& options) {
  const DataSource& input = options.input;
  std::vector<std::string> said;
  if (!input.text.empty()) said.push_back("--text " + input.text);
  if (!input.pair.empty()) said.push_back("--pair " + input.pair);
  if (!input.header) said.emplace_back("--no-header");
  if (options.all_scores) said.emplace_back("--all-scores");
  if (options.logits) said.emplace_back("--logits");
  const TextSettings& text = served.text;
  said.push_back(fmt::format("texts of {} tokens, {}, stride {}", text.max_length, text.truncation,
                             text.stride));
  said.push_back(fmt::format("matrices in {} slices", served.slices));
  return fmt::format("{}", fmt::join(said, ", "));
}

OutputJob::Part part(const std::string& what, const std::string& shown, const std::string& hash) {
  return {what, find_bad_byte(shown) == std::string_view::npos ? shown : "?", hash};
}

}  // namespace

OutputJob predict_job(FileSystem& files, const ServedModel& served, const PredictOptions& options) {
  const std::vector<std::string> paths = expand_paths(options.input.paths);
  const std::string said = options_text(served, options);
  const std::string precision(name_of(served.config.precision));
  return {{part("model", served.path, hash_of_model(files, served.path)),
           part("input", fmt::format("{}", fmt::join(paths, " ")),
                hash_of_input(files, paths, options.resume)),
           part("options", said, hash_hex(std::string_view(said))),
           part(kPrecisionPart, precision, hash_hex(std::string_view(precision)))}};
}

std::optional<Precision> recorded_precision(FileSystem& files, const std::string& output) {
  const std::optional<OutputRecord> found = read_output_record(files, output);
  if (!found) return {};
  for (const OutputJob::Part& part : found->job.parts) {
    if (part.what == kPrecisionPart) return precision_from_name(part.shown);
  }
  return {};
}

}  // namespace heddle
