#include "trainer/log/html.h"

#include <gtest/gtest.h>

namespace heddle {
namespace {

TEST(HtmlEscape, NothingOfAPageSurvives) {
  EXPECT_EQ(html_escape("<script>a & 'b' \"c\"</script>"),
            "&lt;script&gt;a &amp; &#39;b&#39; &quot;c&quot;&lt;/script&gt;");
}

TEST(HtmlEscape, ControlCharactersAreReplaced) {
  EXPECT_EQ(html_escape(std::string("a\0b\x1B\n\tü", 8)), "a\uFFFDb\uFFFD\n\tü");
}

TEST(HtmlTable, SetsNumbersFlushRight) {
  EXPECT_EQ(html_table({.headings = {"a", "b"}, .rows = {{"<", "1"}}, .first_number = 1}),
            "<div class=\"scroll\"><table>\n<thead><tr><th>a</th><th class=\"n\">b</th></tr>\n"
            "</thead>\n<tbody>\n<tr><td>&lt;</td><td class=\"n\">1</td></tr>\n"
            "</tbody></table></div>\n");
}

}  // namespace
}  // namespace heddle
