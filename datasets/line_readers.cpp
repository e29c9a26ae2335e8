// TSV and lines of text: formats in which a line is a row whatever it holds.
#include "datasets/file_reader.h"

namespace heddle {
namespace {

class TextReader : public FileReader {
 public:
  TextReader(std::string path, std::unique_ptr<ByteSource> source)
      : FileReader(std::move(path), std::move(source)) {
    columns_ = {"text"};
    fields_.resize(1);
  }

  bool next(Row& row) override {
    std::string_view line;
    const RowBuffer::Line found = buffer_.next_line(line);
    if (found == RowBuffer::Line::kEnd) return false;
    line_ = next_line_++;
    if (found == RowBuffer::Line::kTooLong) {
      throw error(line, fmt::format("the row has more than {} MiB", kMaxRowBytes >> 20));
    }
    require_text(line);
    fields_[0] = line;
    set_row(row, line);
    return true;
  }
};

class TsvReader : public FileReader {
 public:
  TsvReader(std::string path, std::unique_ptr<ByteSource> source, bool header)
      : FileReader(std::move(path), std::move(source)) {
    std::string_view line;
    if (!header || !take_line(line)) return;
    require_text(line);
    split(line);
    name_columns(fields_);
  }

  bool next(Row& row) override {
    std::string_view line;
    if (!take_line(line)) return false;
    require_text(line);
    split(line);
    if (columns_.empty()) number_columns(fields_.size());
    set_row(row, line);
    return true;
  }

 private:
  void split(std::string_view line) {
    fields_.clear();
    size_t tab;
    while ((tab = line.find('\t')) != std::string_view::npos) {
      fields_.push_back(line.substr(0, tab));
      line.remove_prefix(tab + 1);
    }
    fields_.push_back(line);
  }
};

}  // namespace

std::unique_ptr<FileReader> read_text(std::string path, std::unique_ptr<ByteSource> source) {
  return std::make_unique<TextReader>(std::move(path), std::move(source));
}

std::unique_ptr<FileReader> read_tsv(std::string path, std::unique_ptr<ByteSource> source,
                                     bool header) {
  return std::make_unique<TsvReader>(std::move(path), std::move(source), header);
}

}  // namespace heddle
