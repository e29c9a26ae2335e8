// Text to token ids in memory, on one thread: MB of UTF-8 per second, the median of five passes.
//
//   tokenizer_speed FOLDER FILE...
//   tokenizer_speed models/minilm sst2/train.tsv sst2/dev.tsv
//
// A text is the first column of a line; of a .tsv file the first line is a header. Texts are
// repeated to about 10 MB. Options like the peers': special tokens, cut to 512.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "framework/core/error.h"
#include "framework/io/file_system.h"
#include "models/tokenizers/tokenizer.h"

namespace heddle {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void add_texts(const std::string& path, std::vector<std::string>& texts) {
  PosixFileSystem disk;
  const std::string content = read_file(disk, path);
  bool skip = path.ends_with(".tsv");
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    const std::string line = content.substr(begin, end - begin);
    if (!skip) texts.push_back(line.substr(0, line.find('\t')));
    skip = false;
    begin = end + 1;
  }
}

void run(const std::string& folder, const std::vector<std::string>& files) {
  const auto start = Clock::now();
  const auto tokenizer = load_tokenizer(folder);
  const double load_seconds = seconds_since(start);
  std::vector<std::string> texts;
  for (const std::string& file : files) add_texts(file, texts);
  const auto bytes = [&] {
    size_t sum = 0;
    for (const std::string& text : texts) sum += text.size();
    return static_cast<double>(sum);
  };
  const size_t count = texts.size();
  const auto repeats =
      std::max(size_t{1}, static_cast<size_t>(std::lround(10e6 / std::max(1.0, bytes()))));
  for (size_t i = 1; i < repeats; ++i) {
    for (size_t k = 0; k < count; ++k) texts.push_back(texts[k]);
  }
  std::vector<double> rates;
  size_t tokens = 0;
  for (int pass = 0; pass < 5; ++pass) {
    TokenizerScratch scratch;
    std::vector<int32_t> ids;
    const auto begin = Clock::now();
    for (const std::string& text : texts) {
      tokenizer->encode_ids(text, std::nullopt, {.max_length = 512}, scratch, ids);
    }
    rates.push_back(bytes() / 1e6 / seconds_since(begin));
    tokens = ids.size();
  }
  std::sort(rates.begin(), rates.end());
  fmt::print(
      "{{\"benchmark\": \"tokenize\", \"engine\": \"heddle\", \"megabytes\": {:.3f}, "
      "\"texts\": {}, \"tokens\": {}, \"mb_per_s\": {:.2f}, \"load_ms\": {:.2f}}}\n",
      bytes() / 1e6, texts.size(), tokens, rates[rates.size() / 2], 1e3 * load_seconds);
}

}  // namespace
}  // namespace heddle

int main(int count, char** arguments) {
  if (count < 3) {
    std::fputs("usage: tokenizer_speed FOLDER FILE...\n", stderr);
    return 64;
  }
  try {
    heddle::run(arguments[1], {arguments + 2, arguments + count});
  } catch (const heddle::Error& error) {
    fmt::print(stderr, "{}\n{}\n", error.what(), error.hint());
    return static_cast<int>(error.code());
  }
  return 0;
}
