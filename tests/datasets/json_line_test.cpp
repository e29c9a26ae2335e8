#include "datasets/json_line.h"

#include <gtest/gtest.h>

#include "tests/framework/io/scratch.h"

namespace heddle {
namespace {

TEST(JsonLine, SplitsAnObjectAndKeepsValuesAsWritten) {
  JsonLine line;
  ASSERT_TRUE(line.parse(
      R"( { "a" : "x" , "b":-1.5e+3,"c":[1, {"d": "}"}, []], "e": true,"f":null,"g":{} } )"));
  const auto members = line.members();
  ASSERT_EQ(members.size(), 6u);
  EXPECT_EQ(members[0].key, "a");
  EXPECT_EQ(members[0].value, "x");
  EXPECT_EQ(members[1].value, "-1.5e+3");
  EXPECT_EQ(members[2].value, R"([1, {"d": "}"}, []])");
  EXPECT_EQ(members[3].kind, FieldKind::kJson);
  EXPECT_EQ(members[5].value, "{}");
}

TEST(JsonLine, UnescapesStringsAndKeys) {
  JsonLine line;
  ASSERT_TRUE(line.parse(R"({"k\n": "\"\\\/\b\f\n\r\t", "\u0041": "\u00e9\u20AC\uD83D\uDE00"})"));
  EXPECT_EQ(line.members()[0].key, "k\n");
  EXPECT_EQ(line.members()[0].value, "\"\\/\b\f\n\r\t");
  EXPECT_EQ(line.members()[1].key, "A");
  EXPECT_EQ(line.members()[1].value, "é€😀");
}

TEST(JsonLine, ReadsAnArrayAsMembersWithoutKeys) {
  JsonLine line;
  ASSERT_TRUE(line.parse_array(R"(["a", 2, "b\n"])"));
  ASSERT_EQ(line.members().size(), 3u);
  EXPECT_EQ(line.members()[1].value, "2");
  EXPECT_EQ(line.members()[2].value, "b\n");
  ASSERT_TRUE(line.parse_array("[]"));
  EXPECT_TRUE(line.members().empty());
}

struct Mistake {
  std::string text;
  size_t offset;
  const char* reason;
};

TEST(JsonLine, MistakesAreToldWithTheirPlace) {
  const std::vector<Mistake> mistakes = {
      {"", 0, "expected a JSON object, {...}"},
      {"[1]", 0, "expected a JSON object, {...}"},
      {"{", 1, "expected a key in double quotes"},
      {"{'a': 1}", 1, "expected a key in double quotes"},
      {R"({"a" 1})", 5, "expected ':'"},
      {R"({"a": 1 "b": 2})", 8, "expected ',' or '}'"},
      {R"({"a": 1,})", 8, "expected a key in double quotes"},
      {R"({"a": [1 2]})", 9, "expected ',' or ']'"},
      {R"({"a": {"b" 2}})", 11, "expected ':'"},
      {R"({"a": {2}})", 7, "expected a key in double quotes"},
      {R"({"a": "x)", 8, "a string that is never closed"},
      {"{\"a\": \"x\ty\"}", 8, "a control character in a string"},
      {R"({"a": "\x"})", 7, "an escape that JSON does not have"},
      {R"({"a": "\u12g4"})", 7, "an escape that JSON does not have"},
      {R"({"a": "\u12)", 7, "an escape that JSON does not have"},
      {R"({"a": "\)", 7, "an escape that JSON does not have"},
      {R"({"a": "\u0000"})", 7, "the escape \\u0000, a NUL"},
      {R"({"a": "\ud800 x"})", 7, "half of a surrogate pair"},
      {R"({"a": "\udc00"})", 7, "half of a surrogate pair"},
      {R"({"a": 1, "a": 2})", 9, "the key 'a' twice"},
      {R"({"a": 01})", 7, "expected ',' or '}'"},
      {R"({"a": .5})", 6, "expected a JSON value"},
      {R"({"a": 1.})", 6, "expected a JSON value"},
      {R"({"a": 1e})", 6, "expected a JSON value"},
      {R"({"a": nul})", 6, "expected a JSON value"},
      {R"({"a": NaN})", 6, "expected a JSON value"},
      {R"({"a": 1} x)", 9, "text behind the end of the JSON value"},
  };
  for (const Mistake& mistake : mistakes) {
    JsonLine line;
    EXPECT_FALSE(line.parse(mistake.text)) << mistake.text;
    EXPECT_EQ(line.reason(), mistake.reason) << mistake.text;
    EXPECT_EQ(line.offset(), mistake.offset) << mistake.text;
  }
  JsonLine line;
  EXPECT_FALSE(line.parse_array("{}"));
  EXPECT_EQ(line.reason(), "expected a JSON array, [...]");
  EXPECT_FALSE(line.parse_array("[1 2]"));
  EXPECT_EQ(line.reason(), "expected ',' or ']'");
}

TEST(JsonLine, DepthAndKeysAreLimited) {
  JsonLine line;
  EXPECT_TRUE(line.parse("{\"a\": " + std::string(60, '[') + std::string(60, ']') + "}"));
  EXPECT_FALSE(line.parse("{\"a\": " + std::string(100'000, '[')));
  EXPECT_EQ(line.reason(), "a value nested deeper than 64");
  std::string many = "{";
  for (int i = 0; i <= 4096; ++i) many += fmt::format("{}\"{}\": 1", i == 0 ? "" : ",", i);
  EXPECT_FALSE(line.parse(many + "}"));
  EXPECT_EQ(line.reason(), "more than 4096 keys");
}

}  // namespace
}  // namespace heddle
