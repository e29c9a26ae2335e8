#include "trainer/config/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "framework/core/error.h"

namespace heddle {
namespace {

using Kind = YamlNode::Kind;

constexpr size_t kMaximumBytes = 1 << 20;
constexpr size_t kMaximumDepth = 32;

[[noreturn]] void fail(const std::string& where, const std::string& what,
                       const std::string& hint = "") {
  throw Error(ExitCode::kInput, fmt::format("{}: {}", where, what), hint);
}

// Builds the tree from yaml-cpp's events: they come in the order of the text and show anchors and
// aliases, which its own tree has already followed.
class TreeBuilder : public YAML::EventHandler {
 public:
  // `whole`: the `where` of every node; else "name:line".
  TreeBuilder(std::string name, bool whole) : name_(std::move(name)), whole_(whole) {}

  std::optional<YamlNode> root;

  std::string where(const YAML::Mark& mark) const {
    return whole_ ? name_ : fmt::format("{}:{}", name_, mark.line + 1);
  }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_alias(mark); }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    place(leaf(mark, anchor, "?", Kind::kNull), mark);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = leaf(mark, anchor, tag, Kind::kScalar);
    node.text = value;
    node.quoted = tag == "!";
    place(std::move(node), mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(leaf(mark, anchor, tag, Kind::kSequence), mark);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(leaf(mark, anchor, tag, Kind::kMapping), mark);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YamlNode node;
    std::optional<YamlEntry> entry;  // a key that waits for its value
  };

  [[noreturn]] void refuse_alias(const YAML::Mark& mark) const {
    fail(where(mark), "anchors (&) and aliases (*) are not supported",
         "write the value out; a text that begins with * or & needs quotation marks");
  }

  YamlNode leaf(const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& tag,
                Kind kind) const {
    if (anchor != YAML::NullAnchor) refuse_alias(mark);
    if (!tag.empty() && tag != "?" && tag != "!") {
      fail(where(mark), fmt::format("the tag '{}' is not supported", tag),
           "a text that begins with ! needs quotation marks");
    }
    YamlNode node;
    node.kind = kind;
    node.where = where(mark);
    return node;
  }

  void open(YamlNode node, const YAML::Mark& mark) {
    if (stack_.size() == kMaximumDepth) {
      fail(where(mark), fmt::format("more than {} levels of nesting", kMaximumDepth));
    }
    if (!stack_.empty() && stack_.back().node.kind == Kind::kMapping && !stack_.back().entry) {
      fail(where(mark),
           "a key is a list or a mapping, or a bracket is not closed. Expected a word");
    }
    stack_.push_back({std::move(node), std::nullopt});
  }

  void close() {
    YamlNode node = std::move(stack_.back().node);
    stack_.pop_back();
    put(std::move(node));
  }

  // A leaf is a key, or a value like any other node.
  void place(YamlNode node, const YAML::Mark& mark) {
    if (stack_.empty() || stack_.back().node.kind != Kind::kMapping || stack_.back().entry) {
      return put(std::move(node));
    }
    if (node.kind != Kind::kScalar || node.text.empty()) {
      fail(where(mark), "a key is empty. Expected a word before ':'");
    }
    if (const YamlNode* first = stack_.back().node.find(node.text)) {
      fail(where(mark),
           fmt::format("key '{}' appears twice; first at {}", node.text, first->where));
    }
    YamlEntry entry{node.text, {}};
    entry.value.where = node.where;
    stack_.back().entry = std::move(entry);
  }

  void put(YamlNode node) {
    if (stack_.empty()) {
      root = std::move(node);
      return;
    }
    Open& parent = stack_.back();
    if (parent.node.kind == Kind::kSequence) {
      parent.node.items.push_back(std::move(node));
      return;
    }
    node.where = parent.entry->value.where;
    parent.entry->value = std::move(node);
    parent.node.entries.push_back(std::move(*parent.entry));
    parent.entry.reset();
  }

  std::string name_;
  bool whole_;
  std::vector<Open> stack_;
};

// The length of the valid UTF-8 character at the start of `text`, or 0.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and what lies above U+10FFFF show in the second byte.
  if (lead == 0xE0 && byte(1) < 0xA0) return 0;
  if (lead == 0xED && byte(1) > 0x9F) return 0;
  if (lead == 0xF0 && byte(1) < 0x90) return 0;
  if (lead == 0xF4 && byte(1) > 0x8F) return 0;
  return length;
}

void check_bytes(std::string_view text, const std::string& name) {
  if (text.size() > kMaximumBytes) {
    throw Error(ExitCode::kInput,
                fmt::format("{}: a config of {} bytes. Expected at most 1 MiB", name, text.size()));
  }
  size_t line = 1;
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text.substr(i));
    if (length == 0) fail(fmt::format("{}:{}", name, line), "bytes that are not UTF-8");
    if (text[i] == '\0') fail(fmt::format("{}:{}", name, line), "a NUL byte");
    if (text[i] == '\n') ++line;
    i += length;
  }
}

// yaml-cpp's words for what people do most often say little.
std::string syntax_hint(std::string_view text, const YAML::Mark& mark) {
  for (int line = 0; line < mark.line; ++line) text.remove_prefix(text.find('\n') + 1);
  text = text.substr(0, text.find('\n'));
  const std::string_view indent = text.substr(0, text.find_first_not_of(" \t"));
  if (indent.find('\t') != std::string_view::npos) return "indent with spaces instead of tabs";
  if (text.find('*') != std::string_view::npos) {
    return "a text that begins with * needs quotation marks";
  }
  return "check indentation, a space after ':', closing brackets and quotation marks";
}

YamlNode parse(std::string_view text, const std::string& name, bool whole) {
  TreeBuilder builder(name, whole);
  // With a line end last, yaml-cpp overlooks that a quotation mark is not closed.
  const std::string_view content = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
  std::istringstream stream{std::string(content)};
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder) || !builder.root) fail(name, "is empty");
    YamlNode root = std::move(*builder.root);
    if (parser.HandleNextDocument(builder)) {
      fail(name, "more than one YAML document", "remove the '---' between them");
    }
    return root;
  } catch (const YAML::Exception& error) {
    fail(builder.where(error.mark), fmt::format("not valid YAML: {}", error.msg),
         syntax_hint(text, error.mark));
  }
}

}  // namespace

YamlNode* YamlNode::find(std::string_view key) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const YamlEntry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : &found->value;
}

void YamlNode::erase(std::string_view key) {
  std::erase_if(entries, [&](const YamlEntry& entry) { return entry.key == key; });
}

YamlNode parse_yaml(std::string_view text, const std::string& name) {
  check_bytes(text, name);
  YamlNode root = parse(text, name, false);
  if (root.kind == Kind::kNull) fail(name, "is empty");
  if (root.kind != Kind::kMapping) {
    fail(root.where, "the file does not hold keys and values. Expected lines such as 'seed: 1'");
  }
  return root;
}

YamlNode parse_yaml_value(std::string_view text, const std::string& where) {
  check_bytes(text, where);
  if (!text.empty() && std::string_view("[{\"'").find(text.front()) != std::string_view::npos) {
    return parse(text, where, true);
  }
  YamlNode node;
  node.where = where;
  if (text.empty() || text == "~" || text == "null") return node;
  node.kind = Kind::kScalar;
  node.text = text;
  return node;
}

}  // namespace heddle
