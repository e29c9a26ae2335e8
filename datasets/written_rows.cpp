#include "datasets/written_rows.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "datasets/json_line.h"
#include "framework/core/error.h"

namespace heddle {
namespace {

constexpr uint64_t kBlock = uint64_t{1} << 20;

Error other_columns(const File& file, std::string_view found,
                    const std::vector<std::string>& columns) {
  return Error(ExitCode::kInput,
               fmt::format("{}: cannot resume: it begins '{}'. Expected the columns {}",
                           file.path(), found.substr(0, 80), fmt::join(columns, ", ")),
               "it was written with other options or from other data; remove it to start anew");
}

bool has_columns(std::string_view line, const std::vector<std::string>& columns) {
  JsonLine json;
  return json.parse(line) &&
         std::equal(json.members().begin(), json.members().end(), columns.begin(), columns.end(),
                    [](const JsonLine::Member& member, const std::string& name) {
                      return member.key == name;
                    });
}

}  // namespace

WrittenRows find_written_rows(File& file, Format format, const std::string& header,
                              const std::vector<std::string>& columns) {
  const uint64_t size = file.size();
  std::string block;
  WrittenRows found;
  int64_t lines = 0;
  bool in_quotes = false, lost = false;
  for (uint64_t begin = 0; begin < size && !lost; begin += kBlock) {
    block.resize(std::min(kBlock, size - begin));
    file.read_at(begin, std::as_writable_bytes(std::span(block)));
    if (begin == 0) {
      const std::string_view start = std::string_view(block).substr(0, header.size());
      if (start != header.substr(0, start.size()) && start.find('\0') == std::string_view::npos) {
        throw other_columns(file, start, columns);
      }
    }
    const size_t nul = block.find('\0');
    if (nul != std::string::npos) {
      block.resize(nul);
      lost = true;
    }
    // In CSV a line break counts unless it is inside quotes, which a doubled quote does not change.
    for (size_t i = 0; i < block.size(); ++i) {
      if (block[i] == '"' && format == Format::kCsv) in_quotes = !in_quotes;
      if (block[i] != '\n' || in_quotes) continue;
      if (format == Format::kJsonl && lines == 0 && begin == 0 &&
          !has_columns(std::string_view(block).substr(0, i), columns)) {
        throw other_columns(file, block, columns);
      }
      ++lines;
      found.bytes = begin + i + 1;
    }
  }
  if (lines == 0 || found.bytes < header.size()) return {};
  found.rows = lines - (header.empty() ? 0 : 1);
  return found;
}

}  // namespace heddle
