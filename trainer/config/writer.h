// Values of a config as YAML on one line.
#pragma once

#include <string>

#include "trainer/config/kinds.h"

namespace heddle {

template <class T>
std::string flow_text(const T& value, const Field& field);

std::string trained_part_text(const TrainedPart& part);

// The visitor behind "{match: \"head.*\", lr: 5e-4}".
class FlowWriter {
 public:
  template <class T>
  void operator()(const char* key, T& value, const Field& field) {
    if (!text_.empty()) text_ += ", ";
    text_ += fmt::format("{}: {}", key, flow_text(value, field));
  }
  std::string text() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

template <class T>
std::string flow_text(const T& value, const Field& field) {
  if constexpr (kIsOptional<T>) {
    return value ? flow_text(*value, field) : field.empty;
  } else if constexpr (kIsList<T>) {
    std::string items;
    for (const auto& item : value) {
      if (!items.empty()) items += ", ";
      items += flow_text(item, field);
    }
    return "[" + items + "]";
  } else if constexpr (std::same_as<T, TrainedPart>) {
    return trained_part_text(value);
  } else if constexpr (Section<T>) {
    T section = value;  // `visit` is for readers too, so it takes no const struct
    FlowWriter writer;
    section.visit(writer);
    return writer.text();
  } else {
    return scalar_to_text(value, field);
  }
}

}  // namespace heddle
