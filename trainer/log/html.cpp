#include "trainer/log/html.h"

#include <fmt/format.h>

namespace heddle {

std::string html_escape(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) {
          result += "\uFFFD";
        } else {
          result += c;
        }
    }
  }
  return result;
}

std::string html_table(const HtmlTable& table) {
  const auto row_of = [&](const std::vector<std::string>& cells, std::string_view tag) {
    std::string row = "<tr>";
    for (size_t i = 0; i < cells.size(); ++i) {
      row += fmt::format("<{0}{1}>{2}</{0}>", tag, i >= table.first_number ? " class=\"n\"" : "",
                         html_escape(cells[i]));
    }
    return row + "</tr>\n";
  };
  std::string html = "<div class=\"scroll\"><table>\n<thead>" + row_of(table.headings, "th") +
                     "</thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    html += row_of(row, "td");
  }
  return html + "</tbody></table></div>\n";
}

std::string html_section(std::string_view id, std::string_view heading, std::string_view body) {
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n{}</section>\n", id, html_escape(heading),
                     body);
}

}  // namespace heddle
