// Pieces of HTML.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace heddle {

// The text with & < > " ' as entities and control characters as U+FFFD: right inside an element and
// inside a quoted attribute.
std::string html_escape(std::string_view text);

// A table; cells are text and are escaped here. Columns from `first_number` on are set flush right.
struct HtmlTable {
  std::vector<std::string> headings;
  std::vector<std::vector<std::string>> rows;
  size_t first_number = 1;
};
std::string html_table(const HtmlTable& table);

// A section of the page with its heading; `body` is HTML.
std::string html_section(std::string_view id, std::string_view heading, std::string_view body);

}  // namespace heddle
