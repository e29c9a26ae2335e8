// Splits one JSON object into its members without building a tree: fast enough for every row of a
// large JSONL file. Strings are unescaped; any other value stays as it was written.
//
//   JsonLine line;
//   if (!line.parse(R"({"text": "a \"b\"", "label": 3})")) fail(line.offset(), line.reason());
//   line.members()[0].value;   // a "b"
//
// As strict as RFC 8259, and in what it leaves open: no key twice, no lone surrogate, no \u0000,
// no value nested deeper than 64, no more than 4096 keys.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/row_reader.h"

namespace heddle {

class JsonLine {
 public:
  struct Member {
    std::string_view key;
    std::string_view value;
    FieldKind kind = FieldKind::kText;
  };

  // `line` is valid UTF-8. False if it is not one object, and nothing else; then offset() is the
  // place of the mistake and reason() what it is.
  bool parse(std::string_view line);
  // The same for an array; its elements are members without keys.
  bool parse_array(std::string_view line);
  // Valid until the next parse, and as long as the line.
  std::span<const Member> members() const { return members_; }
  size_t offset() const { return position_; }
  const std::string& reason() const { return reason_; }

 private:
  bool parse_members(std::string_view line, bool object);
  bool member(bool object);
  bool value(Member& member);
  bool string(std::string_view& out);
  bool unescape(std::string& out);
  bool code_unit(char32_t& unit);
  bool skip_value(int depth);
  bool skip_nested(int depth, char close);
  bool number();
  bool word(std::string_view expected);
  void space();
  bool take(char expected);
  bool mistake(std::string reason);

  std::string_view line_;
  size_t position_ = 0;
  std::vector<Member> members_;
  std::string unescaped_;
  std::string reason_;
};

}  // namespace heddle
