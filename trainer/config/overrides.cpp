#include "trainer/config/overrides.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "framework/core/error.h"
#include "trainer/config/reader.h"
#include "trainer/config/schema_data.h"

namespace heddle {
namespace {

using Kind = YamlNode::Kind;

constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kRivals{{
    {"batch.size", "batch.tokens"},
    {"batch.tokens", "batch.size"},
    {"training.epochs", "training.steps"},
    {"training.steps", "training.epochs"},
    {"model.from", "model.architecture"},
    {"model.from", "model.tokenizer"},
    {"model.architecture", "model.from"},
    {"model.tokenizer", "model.from"},
}};

constexpr std::array<std::string_view, 3> kFiles{"data.train", "data.validation", "data.test"};

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> parts;
  while (true) {
    const size_t dot = path.find('.');
    parts.emplace_back(path.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    path.remove_prefix(dot + 1);
  }
}

bool is_number(const std::string& part) {
  return !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
}

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Error(ExitCode::kInput, fmt::format("{}: {}", where, what),
              "write --set KEY.PATH=VALUE, such as --set optimizer.lr=3e-5");
}

// The child `part` of `node`, which is the value of the key `path`; made if it is not there.
YamlNode& child(YamlNode& node, const std::string& path, const std::string& part,
                const std::string& where) {
  if (node.kind == Kind::kNull) node.kind = is_number(part) ? Kind::kSequence : Kind::kMapping;
  const bool file = std::find(kFiles.begin(), kFiles.end(), path) != kFiles.end();
  if (file && node.kind != Kind::kMapping) {  // a path alone
    YamlNode section;
    section.kind = Kind::kMapping;
    section.where = node.where;
    section.entries.push_back({DataFileConfig::kShorthand, node});
    node = std::move(section);
  }
  YamlNode made;
  made.where = where;
  if (node.kind == Kind::kSequence) {
    const auto index = parse_integer(part);
    const auto size = static_cast<std::int64_t>(node.items.size());
    if (!index || *index < 0 || *index > size) {
      fail(where,
           fmt::format("'{}' is a list of {}. Expected a number from 0 to {} instead of '{}'", path,
                       size, size, part));
    }
    return *index < size ? node.items[static_cast<size_t>(*index)]
                         : node.items.emplace_back(std::move(made));
  }
  if (node.kind != Kind::kMapping) {
    fail(where, fmt::format("'{}' is {} and holds no keys", path, shown(node)));
  }
  if (YamlNode* found = node.find(part)) return *found;
  return node.entries.emplace_back(YamlEntry{part, std::move(made)}).value;
}

// Takes the key `path` of two parts out of the tree.
void erase(YamlNode& root, std::string_view path) {
  const size_t dot = path.find('.');
  YamlNode* section = root.find(path.substr(0, dot));
  if (section != nullptr) section->erase(path.substr(dot + 1));
}

bool is_or_is_inside(std::string_view path, std::string_view key) {
  return path.starts_with(key) && (path.size() == key.size() || path[key.size()] == '.');
}

}  // namespace

void apply_overrides(YamlNode& root, std::span<const std::string> assignments) {
  std::vector<std::string> paths;
  for (const std::string& assignment : assignments) {
    const size_t equals = assignment.find('=');
    if (equals == std::string::npos) {
      fail(fmt::format("--set {}", assignment), "there is no '='");
    }
    const std::string path = assignment.substr(0, equals);
    paths.push_back(path);
    // What the command line says second stands beside what it says first, and is refused later.
    for (const auto& [key, rival] : kRivals) {
      const bool both_set = std::any_of(
          paths.begin(), paths.end(), [&](const auto& set) { return is_or_is_inside(set, rival); });
      if (is_or_is_inside(path, key) && !both_set) erase(root, rival);
    }
    const std::string where = fmt::format("--set {}", path);
    YamlNode* node = &root;
    std::string walked;
    for (const std::string& part : split(path)) {
      if (part.empty()) fail(fmt::format("--set {}", assignment), "a part of the key is empty");
      node = &child(*node, walked, part, where);
      walked += walked.empty() ? part : "." + part;
    }
    *node = parse_yaml_value(std::string_view(assignment).substr(equals + 1), where);
  }
}

}  // namespace heddle
