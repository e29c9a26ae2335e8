// Columns of text, aligned for a terminal or a log file.
//
//   TextTable table({{"metric", Align::kLeft}, {"value", Align::kRight}});
//   table.add({"accuracy", "0.9312"});
//   table.text();   // "metric     value\naccuracy  0.9312\n"
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

enum class Align { kLeft, kRight };

// The columns of a terminal that UTF-8 text fills: 2 for wide East Asian characters and emoji, 0
// for combining marks, 1 for the others.
size_t text_width(std::string_view text);

// The longest beginning of the text that fills at most `width` columns, with "…" as its last column
// where something was cut off.
std::string cut_to_width(std::string_view text, size_t width);

class TextTable {
 public:
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
  };

  explicit TextTable(std::vector<Column> columns);

  // One cell a column.
  void add(std::vector<std::string> cells);

  // A heading line and one line a row, two blanks between columns, no blanks at the ends of lines.
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace heddle
