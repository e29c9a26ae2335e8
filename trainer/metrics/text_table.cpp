#include "trainer/metrics/text_table.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "framework/core/error.h"

namespace heddle {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// Blocks, not single characters: what a terminal makes of the rarest ones differs anyway.
constexpr std::array kWide{Range{0x1100, 0x115F},   Range{0x2E80, 0x303E},  Range{0x3041, 0xA4CF},
                           Range{0xAC00, 0xD7A3},   Range{0xF900, 0xFAFF},  Range{0xFE30, 0xFE6F},
                           Range{0xFF00, 0xFF60},   Range{0xFFE0, 0xFFE6},  Range{0x1F300, 0x1F64F},
                           Range{0x1F900, 0x1F9FF}, Range{0x20000, 0x3FFFD}};
constexpr std::array kCombining{Range{0x0300, 0x036F}, Range{0x1AB0, 0x1AFF}, Range{0x1DC0, 0x1DFF},
                                Range{0x200B, 0x200F}, Range{0x20D0, 0x20FF}, Range{0xFE00, 0xFE0F},
                                Range{0xFE20, 0xFE2F}};

template <size_t size>
bool in_any(const std::array<Range, size>& ranges, char32_t c) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](Range range) { return c >= range.first && c <= range.last; });
}

// The bytes of the character that begins with `lead`; 1 for a byte that begins none.
size_t length_of(unsigned char lead) {
  return lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
}

size_t width_of(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) {
    return lead < 0x20 || lead == 0x7F ? 0 : 1;
  }
  char32_t c = lead & (0xFF >> (character.size() + 1));
  for (char byte : character.substr(1)) {
    c = (c << 6) | (static_cast<unsigned char>(byte) & 0x3F);
  }
  return in_any(kCombining, c) ? 0 : in_any(kWide, c) ? 2 : 1;
}

// Calls f(character, its width) for each character until it returns false.
template <typename F>
void for_each_character(std::string_view text, F f) {
  for (size_t i = 0; i < text.size();) {
    const std::string_view character = text.substr(i, length_of(text[i]));
    if (!f(character, width_of(character))) {
      return;
    }
    i += character.size();
  }
}

void append_aligned(std::string& line, const std::string& cell, size_t width, Align align) {
  const std::string blanks(width - text_width(cell), ' ');
  line += align == Align::kLeft ? cell + blanks : blanks + cell;
}

}  // namespace

size_t text_width(std::string_view text) {
  size_t total = 0;
  for_each_character(text, [&](std::string_view, size_t width) {
    total += width;
    return true;
  });
  return total;
}

std::string cut_to_width(std::string_view text, size_t width) {
  if (text_width(text) <= width) {
    return std::string(text);
  }
  if (width == 0) {
    return "";
  }
  size_t bytes = 0;
  size_t used = 0;
  for_each_character(text, [&](std::string_view character, size_t columns) {
    if (used + columns > width - 1) {
      return false;
    }
    used += columns;
    bytes += character.size();
    return true;
  });
  return std::string(text.substr(0, bytes)) + "…";
}

TextTable::TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

void TextTable::add(std::vector<std::string> cells) {
  check(cells.size() == columns_.size(), "[TextTable] {} cells for {} columns.", cells.size(),
        columns_.size());
  rows_.push_back(std::move(cells));
}

std::string TextTable::text() const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    widths.push_back(text_width(columns_[i].heading));
    for (const auto& row : rows_) {
      widths[i] = std::max(widths[i], text_width(row[i]));
    }
  }
  std::string result;
  const auto append_line = [&](auto cell_at) {
    std::string line;
    for (size_t i = 0; i < columns_.size(); ++i) {
      line += i > 0 ? "  " : "";
      append_aligned(line, cell_at(i), widths[i], columns_[i].align);
    }
    line.resize(line.find_last_not_of(' ') + 1);
    result += line + '\n';
  };
  append_line([&](size_t i) { return columns_[i].heading; });
  for (const auto& row : rows_) {
    append_line([&](size_t i) { return row[i]; });
  }
  return result;
}

}  // namespace heddle
