#include "trainer/config/yaml.h"

#include "trainer/config/checks.h"
#include "trainer/config/overrides.h"
#include "trainer/config/reader.h"
#include "trainer/config/writer.h"

namespace heddle {
namespace {

constexpr std::uint64_t kMaximumBytes = 1 << 20;

// Writes a section's keys, one a line, and the sections in it deeper.
class BlockWriter {
 public:
  BlockWriter(std::string& out, size_t indent) : out_(out), indent_(indent) {}

  template <class T>
  void operator()(const char* key, T& value, const Field& field) {
    if constexpr (kIsOptional<T>) {
      if (value && Section<typename T::value_type>) return (*this)(key, *value, field);
    }
    out_ += fmt::format("{:{}}{}:", "", indent_, key);
    if constexpr (Section<T>) {
      out_ += "\n";
      BlockWriter inside(out_, indent_ + 2);
      value.visit(inside);
    } else {
      out_ += fmt::format(" {}\n", flow_text(value, field));
    }
  }

 private:
  std::string& out_;
  size_t indent_;
};

// Lists the values, or those that change the numbers.
class Flattener {
 public:
  Flattener(std::vector<Difference>& values, std::string path, bool all)
      : values_(values), path_(std::move(path)), all_(all) {}

  template <class T>
  void operator()(const char* key, T& value, const Field& field) {
    if (!all_ && !field.changes_numbers) return;
    const std::string path = path_.empty() ? key : path_ + "." + key;
    if constexpr (Section<T>) {
      Flattener inside(values_, path, all_);
      value.visit(inside);
    } else {
      values_.push_back({path, flow_text(value, field), ""});
    }
  }

 private:
  std::vector<Difference>& values_;
  std::string path_;
  bool all_;
};

std::vector<Difference> values_of(Config config, bool all) {
  std::vector<Difference> values;
  Flattener flattener(values, "", all);
  config.visit(flattener);
  return values;
}

std::vector<Difference> compare(const Config& before, const Config& after, bool all) {
  // Both lists hold the same keys: a section that may be absent counts as one value.
  std::vector<Difference> values = values_of(before, all);
  const std::vector<Difference> other = values_of(after, all);
  std::vector<Difference> different;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].before == other[i].before) continue;
    different.push_back({values[i].key, values[i].before, other[i].before});
  }
  return different;
}

}  // namespace

std::string quoted_if_needed(const std::string& text, const Field& field) {
  static constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";
  const bool plain =
      !text.empty() && text.find_first_not_of(kPlain) == std::string::npos && text[0] != '-';
  // Words that YAML or the field itself reads as something else.
  const bool taken = text == field.empty || text == "null" || text == "Null" || text == "NULL" ||
                     text.starts_with("...");
  if (plain && !taken) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string trained_part_text(const TrainedPart& part) {
  switch (part.kind) {
    case TrainedPart::Kind::kAll:
      return "all";
    case TrainedPart::Kind::kHead:
      return "head";
    case TrainedPart::Kind::kLayers:
      break;
  }
  return fmt::format("{{layers: {}}}", part.layers);
}

Config read_config(FileSystem& files, const std::string& path,
                   const std::vector<std::string>& assignments) {
  return parse_config(read_file(files, path, kMaximumBytes), path, assignments);
}

Config parse_config(std::string_view text, const std::string& name,
                    const std::vector<std::string>& assignments) {
  YamlNode root = parse_yaml(text, name);
  apply_overrides(root, assignments);
  Problems problems(name);
  Config config;
  read_section(root, config, "", problems);
  problems.throw_if_any();  // before checks of values that may be defaults instead of what is meant
  resolve(config);
  check_together(config, problems);
  problems.throw_if_any();
  return config;
}

std::string to_yaml(const Config& config) {
  std::string text;
  BlockWriter writer(text, 0);
  Config copy = config;
  copy.visit(writer);
  return text;
}

std::vector<Difference> differences(const Config& before, const Config& after) {
  return compare(before, after, false);
}

std::vector<Difference> all_differences(const Config& before, const Config& after) {
  return compare(before, after, true);
}

}  // namespace heddle
