// YAML text as a tree that remembers where each part was written, and nothing more of YAML than a
// config needs.
//
//   YamlNode root = parse_yaml("seed: 1\n", "configs/a.yaml");
//   root.entries[0].key;            // "seed"
//   root.entries[0].value.where;    // "configs/a.yaml:1"
//
// Refused, each with file and line: bad syntax, bytes that are not UTF-8, more than one document, a
// root that is not a mapping, keys that appear twice or are not plain words, anchors, aliases,
// tags, more than 1 MiB, nesting deeper than 32.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace heddle {

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMapping };

  Kind kind = Kind::kNull;
  std::string where;               // "FILE:LINE" or "--set KEY"
  std::string text;                // kScalar
  bool quoted = false;             // kScalar: 'x' or "x", so never a number or a special word
  std::vector<YamlNode> items;     // kSequence
  std::vector<YamlEntry> entries;  // kMapping, in the order of the file, keys all different

  // The value under `key`, or nullptr.
  YamlNode* find(std::string_view key);
  void erase(std::string_view key);
};

struct YamlEntry {
  std::string key;
  YamlNode value;  // its `where` is that of the key
};

// Parses a document whose root is a mapping. `name` stands before the line in every `where` and
// error. Throws Error(kInput).
YamlNode parse_yaml(std::string_view text, const std::string& name);

// Parses the value of `--set KEY=TEXT`, where every `where` is `where`. Text that does not begin
// with [, {, " or ' is taken as it is.
YamlNode parse_yaml_value(std::string_view text, const std::string& where);

}  // namespace heddle
