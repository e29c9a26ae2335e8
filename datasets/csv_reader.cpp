// CSV as RFC 4180 has it: a field in quotes may hold commas, line breaks and doubled quotes.
#include <algorithm>
#include <cstring>

#include "datasets/file_reader.h"

namespace heddle {
namespace {

class CsvReader : public FileReader {
 public:
  CsvReader(std::string path, std::unique_ptr<ByteSource> source, bool header)
      : FileReader(std::move(path), std::move(source)) {
    std::string_view record;
    if (header && take_record(record)) name_columns(fields_);
  }

  bool next(Row& row) override {
    std::string_view record;
    if (!take_record(record)) return false;
    if (columns_.empty()) number_columns(fields_.size());
    set_row(row, record);
    return true;
  }

 private:
  // Takes the next record that is not blank, split into fields_; false at the end of the file.
  bool take_record(std::string_view& record) {
    bool at_end = false;
    while (true) {
      const std::string_view bytes = buffer_.unread();
      size_t used = 0;
      line_ = next_line_;
      if (bytes.size() > 0 && scan(bytes, at_end, used)) {
        record = bytes.substr(0, used);
        const bool blank = record == "\n" || record == "\r\n";
        if (blank) {
          note_blank_line();
        } else {
          require_no_blank_line();
        }
        buffer_.consume(used);
        next_line_ += 1 + std::count(record.begin(), record.end() - 1, '\n');
        if (blank) continue;
        if (used > kMaxRowBytes) throw error(record, too_long());
        if (record.ends_with('\n')) record.remove_suffix(1);
        if (record.ends_with('\r')) record.remove_suffix(1);
        require_text(record);
        return true;
      }
      if (at_end) return false;
      at_end = !buffer_.fill();
    }
  }

  // Splits the record at the start of `bytes` and sets `used` to its length with the line break.
  // False if it goes on behind `bytes`, which cannot be when they are `at_end` of the file.
  bool scan(std::string_view bytes, bool at_end, size_t& used) {
    fields_.clear();
    unquoted_.clear();
    size_t i = 0;
    const size_t newline = bytes.find('\n');
    const std::string_view line = bytes.substr(0, newline);  // all of them if there is none
    if (newline == std::string_view::npos && !at_end) return need_more(bytes, 0);
    if (line.find('"') == std::string_view::npos) {
      split(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line);
      used = newline == std::string_view::npos ? bytes.size() : newline + 1;
      return true;
    }
    while (true) {
      const size_t start = i;
      if (i < bytes.size() && bytes[i] == '"') {
        i = closing_quote(bytes, start, at_end);
        if (i == std::string_view::npos) return need_more(bytes, start);
        take_quoted(bytes.substr(start + 1, i - start - 1), bytes.size());
        ++i;
      } else {
        while (i < bytes.size() && bytes[i] != ',' && bytes[i] != '\n' && bytes[i] != '"') ++i;
        if (i == bytes.size() && !at_end) return need_more(bytes, start);
        if (i < bytes.size() && bytes[i] == '"') {
          broken(bytes, i, "a quote inside a field that does not start with one");
        }
        const bool ends = i == bytes.size() || bytes[i] == '\n';
        const bool strip = ends && i > start && bytes[i - 1] == '\r';
        fields_.push_back(bytes.substr(start, i - start - (strip ? 1 : 0)));
      }
      if (i < bytes.size() && bytes[i] == ',') {
        ++i;
        continue;
      }
      if (i < bytes.size() && bytes[i] == '\r') ++i;
      if (i < bytes.size() && bytes[i] == '\n') {
        used = i + 1;
        return true;
      }
      if (i < bytes.size()) broken(bytes, i, "text behind a closing quote");
      if (!at_end) return need_more(bytes, start);
      used = i;
      return true;
    }
  }

  // Where the field that starts with the quote at `open` is closed; npos if that is not known yet.
  size_t closing_quote(std::string_view bytes, size_t open, bool at_end) {
    size_t i = open + 1;
    while (true) {
      i = bytes.find('"', i);
      if (i == std::string_view::npos) {
        if (at_end) broken(bytes, open, "a quote that is never closed");
        return i;
      }
      if (i + 1 == bytes.size()) return at_end ? i : std::string_view::npos;
      if (bytes[i + 1] != '"') return i;
      i += 2;
    }
  }

  // Returns false, for "not all of it is here yet", unless the record has become too long.
  bool need_more(std::string_view bytes, size_t field) {
    if (bytes.size() <= kMaxRowBytes) return false;
    if (field < bytes.size() && bytes[field] == '"') {
      broken(bytes, field, "a quote that is not closed within 16 MiB");
    }
    broken(bytes, field, too_long());
  }

  static std::string too_long() {
    return fmt::format("the row has more than {} MiB", kMaxRowBytes >> 20);
  }

  // Throws, and goes on behind the record's first line: what a broken quote spans is not known.
  [[noreturn]] void broken(std::string_view bytes, size_t offset, std::string reason) {
    const RowError error = error_at(
        bytes.substr(0, bytes.find('\n', offset)), offset, std::move(reason),
        "in CSV a field with a quote in it is \"in quotes, and the \"\"quote\"\" doubled\"; a file "
        "without quoting is a .tsv");
    std::string_view line;
    buffer_.next_line(line);
    ++next_line_;
    throw error;
  }

  void take_quoted(std::string_view field, size_t most) {
    if (field.find('"') == std::string_view::npos) {
      fields_.push_back(field);
      return;
    }
    // All that a record unquotes is shorter than the record: the views stay where they are.
    if (unquoted_.empty()) unquoted_.reserve(most);
    const size_t start = unquoted_.size();
    for (size_t i = 0; i < field.size(); ++i) {
      unquoted_ += field[i];
      if (field[i] == '"') ++i;
    }
    fields_.push_back(std::string_view(unquoted_).substr(start));
  }

  void split(std::string_view line) {
    size_t comma;
    while ((comma = line.find(',')) != std::string_view::npos) {
      fields_.push_back(line.substr(0, comma));
      line.remove_prefix(comma + 1);
    }
    fields_.push_back(line);
  }

  std::string unquoted_;
};

}  // namespace

std::unique_ptr<FileReader> read_csv(std::string path, std::unique_ptr<ByteSource> source,
                                     bool header) {
  return std::make_unique<CsvReader>(std::move(path), std::move(source), header);
}

}  // namespace heddle
