#include "framework/io/json.h"

#include <gtest/gtest.h>

#include "tests/framework/io/scratch.h"

namespace heddle {
namespace {

// What the parser says about `text`, named "f.json".
std::string complaint(std::string_view text, const JsonLimits& limits = {}) {
  return error_text([&] { parse_json(text, "f.json", limits); });
}

TEST(Json, ValuesOfEveryTypeAreRead) {
  const Json document = parse_json(
      R"({"a": [1, -2, 3.5, true, null, "x\u00e9"], "b": {"c": 18446744073709551615}})", "f.json");
  EXPECT_EQ(document["a"].size(), 6u);
  EXPECT_EQ(document["a"][1].get<int64_t>(), -2);
  EXPECT_EQ(document["a"][2].get<double>(), 3.5);
  EXPECT_EQ(document["a"][5].get<std::string>(), "x\xc3\xa9");
  EXPECT_EQ(document["b"]["c"].get<uint64_t>(), 18446744073709551615u);
  EXPECT_EQ(parse_json("[[[]],{}]", "f.json").size(), 2u);
  EXPECT_EQ(parse_json("\xef\xbb\xbf 7", "f.json").get<int>(), 7);
}

TEST(Json, SyntaxErrorNamesLineAndColumn) {
  EXPECT_TRUE(has(complaint("{\n  \"a\": 1,\n  \"b\" 2\n}"), "f.json:3:7: syntax error"));
  EXPECT_TRUE(has(complaint("{\"a\": tru}"), "f.json:1:"));
  EXPECT_TRUE(has(complaint(""), "f.json:1:1: syntax error"));
  EXPECT_TRUE(has(complaint("[1] x"), "f.json:1:5: syntax error"));
  EXPECT_TRUE(has(complaint("[1, // no\n 2]"), "f.json:1:5"));
  EXPECT_TRUE(has(complaint("\"\xff\""), "invalid string"));
  EXPECT_TRUE(has(complaint("[1e999]"), "number overflow"));
  EXPECT_TRUE(has(complaint(std::string_view("{\"a\"\0: 1}", 9)), "f.json:1:5"));
}

TEST(Json, DuplicateKeyIsRefusedWithItsPlace) {
  EXPECT_EQ(complaint("{\"a\": 1,\n \"a\": 2}"), "f.json:2:4: duplicate key 'a'");
  EXPECT_EQ(complaint("{\"b\": [{\"a\": 1, \"a\": 2}]}"), "f.json:1:19: duplicate key 'a'");
  EXPECT_EQ(complaint("{\"a\": {\"a\": 1}, \"b\": {\"a\": 1}}"), "no error");
}

TEST(Json, DepthAndSizeAreLimited) {
  EXPECT_EQ(complaint("[[[1]]]", {.depth = 3}), "no error");
  EXPECT_TRUE(has(complaint("[[[[1]]]]", {.depth = 3}), "f.json:1:4: nested deeper than 3 levels"));
  EXPECT_TRUE(has(complaint(std::string(1000000, '[')), "nested deeper than 64 levels"));
  EXPECT_TRUE(has(complaint("[1, 2]", {.bytes = 5}), "JSON text of 6 bytes. Expected at most 5"));
}

TEST(Json, EveryPrefixOfADocumentIsAnErrorAndNoCrash) {
  const std::string text = R"({"a": [1, {"b": "\u00e9"}], "c": -1.5e3, "d": null})";
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_NE(complaint(text.substr(0, size)), "no error") << size;
  }
}

TEST(Json, FileIsReadAndNamedInErrors) {
  Scratch scratch;
  PosixFileSystem files;
  const std::string path = scratch.write("config.json", "{\"a\": }");
  EXPECT_TRUE(has(error_text([&] { read_json(files, path); }), path + ":1:7: syntax error"));
  EXPECT_TRUE(has(error_text([&] { read_json(files, path + "x"); }), "cannot open: No such file"));
  EXPECT_TRUE(has(error_text([&] { read_json(files, path, {.bytes = 3}); }), "Expected at most 3"));
  EXPECT_EQ(exit_code([&] { read_json(files, path + "x"); }), ExitCode::kInput);
}

TEST(Json, TextIsSortedAndRefusesBrokenUtf8) {
  EXPECT_EQ(dump_json({{"b", 1}, {"a", {1, 2}}}), R"({"a":[1,2],"b":1})");
  EXPECT_TRUE(has(error_text([] { dump_json("\xff"); }), "cannot write JSON: invalid UTF-8"));
}

class JsonViewTest : public testing::Test {
 protected:
  Json document_ = parse_json(
      R"({"size": 3, "name": "x", "on": true, "eps": 1e-12, "whole": 4.0, "none": null, "deep": -1,
          "list": [1, 2], "words": ["a", "b"], "in": {"list": [1, {"k": "v"}]}, "big": 1e300})",
      "c.json");
  JsonView view_{document_, "c.json"};
  template <typename Body>
  std::string complaint(Body&& body) {
    return error_text([&] { body(view_); });
  }
};

TEST_F(JsonViewTest, GettersReturnValues) {
  EXPECT_EQ(view_["size"].integer(), 3);
  EXPECT_EQ(view_.get<int>("whole"), 4);
  EXPECT_EQ(view_.get<std::string>("name"), "x");
  EXPECT_EQ(view_.get<double>("eps"), 1e-12);
  EXPECT_EQ(view_.get<float>("size"), 3.0f);
  EXPECT_TRUE(view_.get<bool>("on"));
  EXPECT_EQ(view_.get_or("absent", "d"), "d");
  EXPECT_EQ(view_.get_or("none", 7), 7);
  EXPECT_EQ(view_.get_or<int64_t>("size", 7), 3);
  EXPECT_EQ(view_["list"].integers(), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(view_["words"].strings(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(view_["in"]["list"].at(1).get<std::string>("k"), "v");
  EXPECT_EQ(view_["in"].keys(), std::vector<std::string>{"list"});
}

TEST_F(JsonViewTest, WrongTypeNamesThePathAndTheValue) {
  EXPECT_EQ(complaint([](auto& v) { v["name"].integer(); }),
            "c.json: 'name' is a string (\"x\"). Expected a whole number.");
  EXPECT_EQ(complaint([](auto& v) { v["in"]["list"].at(1)["k"].number(); }),
            "c.json: 'in.list[1].k' is a string (\"v\"). Expected a number.");
  EXPECT_TRUE(has(complaint([](auto& v) { v["eps"].integer(); }), "a number (1e-12)"));
  EXPECT_TRUE(
      has(complaint([](auto& v) { v["none"].string(); }), "'none' is null. Expected a string"));
  EXPECT_TRUE(has(complaint([](auto& v) { v["size"].boolean(); }), "Expected true or false"));
  EXPECT_TRUE(has(complaint([](auto& v) { v["size"]["x"]; }), "Expected an object"));
  EXPECT_TRUE(has(complaint([](auto& v) { v["size"].size(); }), "Expected an array"));
  EXPECT_TRUE(has(complaint([](auto& v) { v["in"].integers(); }), "an array of whole numbers"));
  EXPECT_TRUE(has(complaint([](auto& v) { v["in"].strings(); }), "an array of strings"));
  EXPECT_TRUE(has(complaint([](auto& v) { v["words"].integers(); }), "'words[0]' is a string"));
}

TEST_F(JsonViewTest, RangeIsChecked) {
  EXPECT_EQ(complaint([](auto& v) { v["size"].integer(4); }),
            "c.json: 'size' is (3). Expected at least 4.");
  EXPECT_TRUE(has(complaint([](auto& v) { v["size"].integer(0, 2); }), "Expected 0 to 2"));
  EXPECT_TRUE(
      has(complaint([](auto& v) { v.template get<uint8_t>("deep"); }), "Expected 0 to 255"));
  EXPECT_TRUE(has(complaint([](auto& v) { v["big"].integer(); }), "Expected a whole number"));
  EXPECT_TRUE(has(complaint([](auto& v) { v["list"].at(2); }), "'list' has 2 elements"));
}

TEST_F(JsonViewTest, MissingAndUnknownKeysNameTheNearest) {
  EXPECT_EQ(complaint([](auto& v) { v["sise"]; }), "c.json: the document has no key 'sise'");
  EXPECT_EQ(error_hint([&] { view_["sise"]; }), "did you mean 'size'?");
  const std::vector<std::string> known{"listing"};
  EXPECT_EQ(complaint([&](auto& v) { v["in"].allow_only(known); }),
            "c.json: 'in' has an unknown key 'list'");
}

}  // namespace
}  // namespace heddle
