#include "trainer/config/reader.h"

#include <algorithm>

#include "trainer/config/schema.h"

namespace heddle {
namespace {

using Kind = YamlNode::Kind;

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

class KeyCollector {
 public:
  explicit KeyCollector(std::vector<KnownKey>& keys, std::string path = "")
      : keys_(keys), path_(std::move(path)) {}

  template <class T>
  void operator()(const char* key, T&, const Field& field) {
    const std::string path = path_.empty() ? key : path_ + "." + key;
    keys_.push_back({path, field.aliases});
    if constexpr (Section<T>) {
      descend<T>(path);
    } else if constexpr (kIsOptional<T> || kIsList<T>) {
      descend<typename T::value_type>(path);
    }
  }

 private:
  template <class T>
  void descend(const std::string& path) {
    if constexpr (Section<T>) {
      T section;
      KeyCollector inside(keys_, path);
      section.visit(inside);
    }
  }

  std::vector<KnownKey>& keys_;
  std::string path_;
};

// Names a scalar's own kind of mistake where a rule of YAML explains it.
std::string scalar_hint(const YamlNode& node, const std::string& expected, const Field& field) {
  if (node.kind != Kind::kScalar) return "";
  if (!field.choices.empty()) {
    const std::string nearest = nearest_name(node.text, field.choices);
    return nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest);
  }
  const bool number = expected.find("number") != std::string::npos;
  if (node.quoted && number) return ", without quotation marks";
  if (expected.starts_with("true") && contains({"yes", "no", "on", "off"}, node.text)) {
    return "; YAML's yes, no, on and off are not used here";
  }
  const bool zero_first = node.text.size() > 1 && node.text[0] == '0' &&
                          node.text.find_first_not_of("0123456789") == std::string::npos;
  if (number && zero_first) return ", without leading zeros";
  return "";
}

}  // namespace

std::vector<KnownKey> all_known_keys() {
  std::vector<KnownKey> keys;
  Config config;
  KeyCollector collector(keys);
  config.visit(collector);
  return keys;
}

std::string suggestion(const std::string& unknown, const std::vector<KnownKey>& section) {
  std::vector<std::string> names;
  std::vector<std::string> names_and_aliases;
  for (const KnownKey& known : section) {
    names.push_back(known.key);
    names_and_aliases.push_back(known.key);
    names_and_aliases.insert(names_and_aliases.end(), known.aliases.begin(), known.aliases.end());
  }
  const std::string nearest = nearest_name(unknown, names_and_aliases);
  for (const KnownKey& known : section) {
    if (known.key == nearest || contains(known.aliases, nearest)) {
      return fmt::format("did you mean '{}'?", known.key);
    }
  }
  for (const KnownKey& known : all_known_keys()) {
    const std::string last = known.key.substr(known.key.rfind('.') + 1);
    if (last == unknown || contains(known.aliases, unknown)) {
      return fmt::format("did you mean '{}'?", known.key);
    }
  }
  return did_you_mean(unknown, names);
}

std::string shown(const YamlNode& node) {
  switch (node.kind) {
    case Kind::kNull:
      return "empty";
    case Kind::kSequence:
      return "a list";
    case Kind::kMapping:
      return "a mapping of keys";
    case Kind::kScalar:
      break;
  }
  if (node.quoted) return fmt::format("the text \"{}\"", node.text);
  return fmt::format("'{}'", node.text);
}

void SectionReader::finish() {
  for (const YamlEntry& entry : node_.entries) {
    const bool is_known = std::any_of(known_.begin(), known_.end(), [&](const KnownKey& known) {
      return known.key == entry.key;
    });
    if (is_known) continue;
    problems_.add(entry.value.where, fmt::format("unknown key '{}'{}; {}", entry.key, in_section(),
                                                 suggestion(entry.key, known_)));
  }
}

bool add_if_planned(const YamlNode& node, const std::string& path, const Field& field,
                    Problems& problems) {
  if (node.kind != Kind::kScalar) return false;
  if (!contains(field.later, node.text)) return false;
  problems.add(
      node.where,
      fmt::format("'{}' is {}: not yet. This version knows {}", path, shown(node),
                  field.choices.empty() ? std::string("false")
                                        : fmt::format("{}", fmt::join(field.choices, ", "))));
  return true;
}

void add_bad_scalar(const YamlNode& node, const std::string& path, const std::string& expected,
                    const Field& field, Problems& problems) {
  problems.add(node.where, fmt::format("'{}' is {}. Expected {}{}", path, shown(node), expected,
                                       scalar_hint(node, expected, field)));
}

void read_trained_part(const YamlNode& node, const std::string& path, TrainedPart& value,
                       Problems& problems) {
  if (node.kind == Kind::kScalar && node.text == "all") {
    value = {};
  } else if (node.kind == Kind::kScalar && node.text == "head") {
    value = {.kind = TrainedPart::Kind::kHead};
  } else if (node.kind == Kind::kMapping && node.entries.size() == 1 &&
             node.entries[0].key == "layers") {
    value = {.kind = TrainedPart::Kind::kLayers, .layers = 1};
    const Field layers = Field("the last encoder layers").at_least(1).at_most(1000);
    read_value(node.entries[0].value, path + ".layers", value.layers, layers, problems);
  } else {
    problems.add(node.where,
                 fmt::format("'{}' is {}. Expected {}", path, shown(node), TrainedPart::kForm));
  }
}

}  // namespace heddle
