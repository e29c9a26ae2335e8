#include "datasets/row_reader.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "datasets/file_reader.h"
#include "framework/core/nearest_name.h"

namespace heddle {
namespace {

class FilesReader : public RowReader {
 public:
  FilesReader(const RowOptions& options, BadRows& bad)
      : options_(options), bad_(bad), paths_(expand_paths(options.paths)) {
    if (paths_.empty()) {
      throw Error(ExitCode::kInput, "no file to read", "name a file, or - for standard input");
    }
    held_ = advance();  // JSONL tells its columns by the first row
  }

  const std::vector<std::string>& columns() const override { return columns_; }

  bool next(Row& row) override {
    if (first_) {
      first_ = false;
      row = row_;
      return held_;
    }
    if (!advance()) return false;
    row = row_;
    return true;
  }

 private:
  // Reads the next good row of any file into row_.
  bool advance() {
    while (true) {
      if (!file_ && !open_next()) return false;
      try {
        if (file_->next(row_)) {
          require_same_columns();
          if (std::exchange(guessed_, false)) require_plain_text();
          return true;
        }
        require_same_columns();
        file_.reset();
      } catch (const RowError& error) {
        bad_.add(error);
      }
    }
  }

  bool open_next() {
    if (opened_ == paths_.size()) return false;
    const std::string& path = paths_[opened_++];
    const std::string shown = path == "-" ? "standard input" : path;
    std::unique_ptr<ByteSource> source =
        path == "-" && options_.standard_input ? options_.standard_input() : open_bytes(path);
    const Format format = options_.format ? *options_.format
                          : path == "-"   ? Format::kText
                                          : format_of(path);
    switch (format) {
      case Format::kTsv:
        file_ = read_tsv(shown, std::move(source), options_.header);
        break;
      case Format::kCsv:
        file_ = read_csv(shown, std::move(source), options_.header);
        break;
      case Format::kJsonl:
        file_ = read_jsonl(shown, std::move(source), columns_, options_.keep_all_columns);
        break;
      case Format::kText:
        file_ = read_text(shown, std::move(source));
        break;
    }
    checked_ = false;
    guessed_ = path == "-" && !options_.format;
    const bool has_header = format == Format::kTsv || format == Format::kCsv;
    if (has_header && options_.header && file_->columns().empty()) {
      throw Error(ExitCode::kInput, fmt::format("{}: is empty. Expected a header line", shown));
    }
    return true;
  }

  // Nothing says what standard input holds: that it is lines of text must not be a mistake.
  void require_plain_text() const {
    const std::string_view line = row_.source;
    const bool object = line.starts_with('{') && line.ends_with('}');
    if (!object && line.find('\t') == std::string_view::npos) return;
    const char* format = object ? "jsonl" : "tsv";
    throw Error(
        ExitCode::kInput,
        fmt::format("standard input: is read as one text a line, but looks like {}", format),
        fmt::format("say what it is: --format {}, or --format txt if each line is a text", format));
  }

  // Row numbers mean the same column in every file.
  void require_same_columns() {
    if (checked_ || file_->columns().empty()) return;
    checked_ = true;
    if (columns_.empty()) columns_ = file_->columns();
    if (file_->columns() == columns_) return;
    throw Error(
        ExitCode::kInput,
        fmt::format("{}: has the columns {}. Expected those of {}: {}", paths_[opened_ - 1],
                    fmt::join(file_->columns(), ", "), paths_[0], fmt::join(columns_, ", ")),
        "files that are read as one have the same columns in the same order");
  }

  RowOptions options_;
  BadRows& bad_;
  std::vector<std::string> paths_;
  size_t opened_ = 0;
  std::unique_ptr<FileReader> file_;
  std::vector<std::string> columns_;
  Row row_;
  bool checked_ = false;
  bool guessed_ = false;  // the format of file_, until its first row is there
  bool held_ = false;     // whether row_ is the first row
  bool first_ = true;     // until `next` is called
};

}  // namespace

std::unique_ptr<RowReader> open_rows(const RowOptions& options, BadRows& bad) {
  return std::make_unique<FilesReader>(options, bad);
}

size_t find_column(std::span<const std::string> columns, std::string_view column,
                   std::string_view file) {
  const auto named = std::find(columns.begin(), columns.end(), column);
  if (named != columns.end()) return static_cast<size_t>(named - columns.begin());
  size_t number = 0;
  const char* end = column.data() + column.size();
  const auto parsed = std::from_chars(column.data(), end, number);
  if (parsed.ec == std::errc() && parsed.ptr == end && number < columns.size()) return number;
  const std::string nearest = nearest_name(column, columns);
  throw Error(ExitCode::kInput, fmt::format("{}: no column '{}'", file, column),
              fmt::format("{}columns: {}",
                          nearest.empty() ? "" : fmt::format("did you mean '{}'? ", nearest),
                          fmt::join(columns, ", ")));
}

RowError row_error(const Row& row, std::string reason, std::string hint) {
  return RowError(fmt::format("{}:{}", row.file, row.line), std::move(reason), row.source,
                  std::move(hint));
}

}  // namespace heddle
