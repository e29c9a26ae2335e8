#include "trainer/config/describe.h"

#include <string_view>
#include <vector>

#include "trainer/config/schema.h"
#include "trainer/config/writer.h"

namespace heddle {
namespace {

constexpr size_t kColumns = 100;

constexpr const char* kOpening =
    "# Every key of a run's config, with its default. Written by: heddle config --describe\n"
    "# A config needs 'output', 'data.train' and one of 'model.from' and 'model.architecture'.\n";

// `text` as comment lines, broken between words.
std::string comment(std::string_view text, size_t indent) {
  const std::string opening(indent, ' ');
  std::string lines;
  std::string line = opening + "#";
  while (!text.empty()) {
    const size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    if (line.size() + 1 + word.size() > kColumns) {
      lines += line + "\n";
      line = opening + "#";
    }
    line += fmt::format(" {}", word);
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return lines + line + "\n";
}

template <class T>
std::string explanation(const Field& field) {
  std::string form = expected_text<T>(field);
  if (!field.unit_name.empty()) form += ", in " + field.unit_name;
  if (field.is_required) form += "; required";
  if (!field.later.empty()) form += fmt::format("; not yet: {}", fmt::join(field.later, ", "));
  return fmt::format("{} ({})", field.meaning, form);
}

class Describer {
 public:
  Describer(std::string& out, size_t indent) : out_(out), indent_(indent) {}

  template <class T>
  void operator()(const char* key, T& value, const Field& field) {
    if (indent_ == 0) out_ += "\n";
    if constexpr (Section<T>) {
      out_ += comment(field.meaning, indent_);
      open(key, value);
    } else if constexpr (kIsOptional<T> || kIsList<T>) {
      if constexpr (Section<typename T::value_type>) return sketch<T>(key, field);
      line<T>(key, value, field);
    } else {
      line<T>(key, value, field);
    }
  }

 private:
  template <class T>
  void line(const char* key, const T& value, const Field& field) {
    out_ += comment(explanation<T>(field), indent_);
    const std::string text = field.shown.empty() ? flow_text(value, field) : field.shown;
    out_ += fmt::format("{:{}}{}: {}\n", "", indent_, key, text);
  }

  template <class T>
  void open(const char* key, T& section) {
    out_ += fmt::format("{:{}}{}:\n", "", indent_, key);
    Describer inside(out_, indent_ + 2);
    section.visit(inside);
  }

  // A section that is not there, or a list of sections that is empty: commented out, so that taking
  // '# ' from the front of its lines gives valid YAML.
  template <class T>
  void sketch(const char* key, const Field& field) {
    typename T::value_type section;
    std::string text;
    Describer inside(text, 2 + (kIsList<T> ? 2 : 0));
    section.visit(inside);
    text = fmt::format("{}:\n{}{}", key, kIsList<T> ? "  -\n" : "", text);
    out_ += comment(field.meaning, indent_);
    for (std::string_view rest = text; !rest.empty();) {
      const size_t end = rest.find('\n') + 1;
      out_ += fmt::format("{:{}}# {}", "", indent_, rest.substr(0, end));
      rest.remove_prefix(end);
    }
  }

  std::string& out_;
  size_t indent_;
};

}  // namespace

std::string describe() {
  std::string text = kOpening;
  Config config;
  Describer describer(text, 0);
  config.visit(describer);
  return text;
}

}  // namespace heddle
