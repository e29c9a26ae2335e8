// Fills config structs from a tree of YAML, by their own `visit`.
//
//   Problems problems("a.yaml");
//   read_section(root, config, "", problems);
//   problems.throw_if_any();
//
// Every key of the tree has to be known and every value has to be what its Field says; what is not
// is added to `problems`, and the struct keeps its default there.
#pragma once

#include <string>
#include <vector>

#include "framework/core/nearest_name.h"
#include "trainer/config/kinds.h"
#include "trainer/config/known_keys.h"
#include "trainer/config/problems.h"
#include "trainer/config/yaml_tree.h"

namespace heddle {

// Reads the value of the key `path` from `node`.
template <class T>
void read_value(const YamlNode& node, const std::string& path, T& value, const Field& field,
                Problems& problems);

// "a list", "'fast'", "empty": completes "'optimizer.lr' is".
std::string shown(const YamlNode& node);

// The visitor that reads one section.
class SectionReader {
 public:
  SectionReader(const YamlNode& node, std::string path, Problems& problems)
      : node_(node), path_(std::move(path)), problems_(problems) {}

  template <class T>
  void operator()(const char* key, T& value, const Field& field) {
    known_.push_back({key, field.aliases});
    const std::string path = path_.empty() ? key : path_ + "." + key;
    for (const YamlEntry& entry : node_.entries) {
      if (entry.key != key) continue;
      problems_.locate(path, entry.value.where);
      return read_value(entry.value, path, value, field, problems_);
    }
    if (field.is_required) {
      problems_.add(node_.where, fmt::format("missing key '{}'{}", key, in_section()));
      return;
    }
    if constexpr (Section<T>) {  // it may hold keys that are required
      YamlNode nothing;
      nothing.kind = YamlNode::Kind::kMapping;
      nothing.where = node_.where;
      read_value(nothing, path, value, field, problems_);
    }
  }

  // Adds every key of the section that `visit` did not name.
  void finish();

 private:
  std::string in_section() const { return path_.empty() ? "" : fmt::format(" in '{}'", path_); }

  const YamlNode& node_;
  std::string path_;
  Problems& problems_;
  std::vector<KnownKey> known_;
};

template <Section T>
void read_section(const YamlNode& node, T& section, const std::string& path, Problems& problems) {
  SectionReader reader(node, path, problems);
  section.visit(reader);
  reader.finish();
}

// Adds what is wrong with a word that is no T, with a hint.
void add_bad_scalar(const YamlNode& node, const std::string& path, const std::string& expected,
                    const Field& field, Problems& problems);
// True if the word is one of those that wait for a later version, which is added then.
bool add_if_planned(const YamlNode& node, const std::string& path, const Field& field,
                    Problems& problems);

template <Scalar T>
void read_scalar(const YamlNode& node, const std::string& path, T& value, const Field& field,
                 Problems& problems) {
  if (add_if_planned(node, path, field, problems)) return;
  std::optional<T> read;
  if (node.kind == YamlNode::Kind::kScalar) read = scalar_from_text<T>(node.text, node.quoted);
  bool good = read.has_value();
  if constexpr (std::same_as<T, std::string>) {
    good = good && (field.choices.empty() || std::find(field.choices.begin(), field.choices.end(),
                                                       *read) != field.choices.end());
    good = good && !read->empty();
  } else if constexpr (std::is_arithmetic_v<T> && !std::same_as<T, bool>) {
    good = good && field.contains(static_cast<double>(*read));
  }
  if (good) {
    value = *read;
  } else {
    add_bad_scalar(node, path, expected_text<T>(field), field, problems);
  }
}

void read_trained_part(const YamlNode& node, const std::string& path, TrainedPart& value,
                       Problems& problems);

template <class T>
void read_list(const YamlNode& node, const std::string& path, std::vector<T>& value,
               const Field& field, Problems& problems) {
  std::vector<T> read;
  if (node.kind == YamlNode::Kind::kSequence) {
    for (size_t i = 0; i < node.items.size(); ++i) {
      const std::string item = fmt::format("{}.{}", path, i);
      problems.locate(item, node.items[i].where);
      read_value(node.items[i], item, read.emplace_back(), field, problems);
    }
  } else if (node.kind == YamlNode::Kind::kScalar && field.one_for_list) {
    read_value(node, path, read.emplace_back(), field, problems);
  } else {
    problems.add(node.where, fmt::format("'{}' is {}. Expected {}", path, shown(node),
                                         expected_text<std::vector<T>>(field)));
    return;
  }
  if (field.list_length != 0 && read.size() != field.list_length) {
    problems.add(node.where, fmt::format("'{}' has {} items. Expected {}", path, read.size(),
                                         field.list_length));
    return;
  }
  if (field.is_required && read.empty()) {
    problems.add(node.where, fmt::format("'{}' is an empty list", path));
  }
  value = std::move(read);
}

template <class T>
void read_value(const YamlNode& node, const std::string& path, T& value, const Field& field,
                Problems& problems) {
  using Kind = YamlNode::Kind;
  if constexpr (kIsOptional<T>) {
    const bool word = node.kind == Kind::kScalar && !node.quoted && node.text == field.empty;
    if (node.kind == Kind::kNull || word) {
      value.reset();
    } else {
      read_value(node, path, value.emplace(), field, problems);
    }
  } else if constexpr (kIsList<T>) {
    read_list(node, path, value, field, problems);
  } else if constexpr (std::same_as<T, TrainedPart>) {
    read_trained_part(node, path, value, problems);
  } else if constexpr (Section<T>) {
    if (node.kind == Kind::kMapping || node.kind == Kind::kNull) {
      return read_section(node, value, path, problems);
    }
    if constexpr (ShorthandSection<T>) {
      YamlNode section;
      section.kind = Kind::kMapping;
      section.where = node.where;
      section.entries.push_back({T::kShorthand, node});
      read_section(section, value, path, problems);
    } else {
      problems.add(node.where,
                   fmt::format("'{}' is {}. Expected keys and values", path, shown(node)));
    }
  } else {
    read_scalar(node, path, value, field, problems);
  }
}

}  // namespace heddle
