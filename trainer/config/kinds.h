// What the types of the config structs have in common: which are sections, which are read from one
// word, and how a person is told what to write.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "trainer/config/field.h"
#include "trainer/config/values.h"

namespace heddle {

// A visitor of a config struct, as the structs see it.
struct AnyVisitor {
  template <class T>
  void operator()(const char*, T&, const Field&) {}
};

// A struct with keys of its own.
template <class T>
concept Section = requires(T& section, AnyVisitor& visitor) {
  section.visit(visitor);
};

// A section for whose key `kShorthand` a value alone may stand.
template <class T>
concept ShorthandSection = Section<T> && requires {
  T::kShorthand;
};

// A value with a notation of its own, such as "6%".
template <class T>
concept Notation = requires(const T& value, std::string_view text) {
  { T::parse(text) } -> std::same_as<std::optional<T>>;
  { value.text() } -> std::same_as<std::string>;
};

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

template <class T>
inline constexpr bool kIsList = false;
template <class T>
inline constexpr bool kIsList<std::vector<T>> = true;

// A value that is one word in YAML.
template <class T>
concept Scalar = std::same_as<T, bool> || std::same_as<T, std::int64_t> ||
    std::same_as<T, double> || std::same_as<T, std::string> || Notation<T>;

// "a number above 0 and at most 100", "one of adamw, sgd", "true or false": completes "Expected".
template <class T>
std::string expected_text(const Field& field) {
  if constexpr (kIsOptional<T>) {
    return fmt::format("{}, or {}", expected_text<typename T::value_type>(field), field.empty);
  } else if constexpr (kIsList<T>) {
    const std::string item = expected_text<typename T::value_type>(field);
    if (field.list_length == 0) return fmt::format("a list, each item {}", item);
    return fmt::format("a list of {}, each {}", field.list_length, item);
  } else if constexpr (Section<T>) {
    return "keys and values";
  } else if constexpr (std::same_as<T, bool>) {
    return "true or false";
  } else if constexpr (std::same_as<T, std::string>) {
    if (field.choices.empty()) return "text";
    return fmt::format("{}{}", field.choices.size() > 1 ? "one of " : "",
                       fmt::join(field.choices, ", "));
  } else if constexpr (std::is_arithmetic_v<T>) {
    const std::string range = field.range_text();
    return fmt::format("{}{}{}", std::same_as<T, double> ? "a number" : "a whole number",
                       range.empty() ? "" : " ", range);
  } else {
    return T::kForm;
  }
}

// What `word` means as a T, or empty. A quoted word is no number and no truth value.
template <Scalar T>
std::optional<T> scalar_from_text(const std::string& word, bool quoted) {
  if constexpr (std::same_as<T, std::string>) {
    return word;
  } else if constexpr (Notation<T>) {
    return T::parse(word);
  } else if (quoted) {
    return std::nullopt;
  } else if constexpr (std::same_as<T, bool>) {
    if (word != "true" && word != "false") return std::nullopt;
    return word == "true";
  } else if constexpr (std::same_as<T, double>) {
    return parse_number(word);
  } else {
    return parse_integer(word);
  }
}

// The YAML of a text: as it is, or in quotation marks if it would be read as something else.
std::string quoted_if_needed(const std::string& text, const Field& field);

template <Scalar T>
std::string scalar_to_text(const T& value, const Field& field) {
  if constexpr (std::same_as<T, std::string>) {
    return quoted_if_needed(value, field);
  } else if constexpr (Notation<T>) {
    return value.text();
  } else if constexpr (std::same_as<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::same_as<T, double>) {
    return number_text(value);
  } else {
    return std::to_string(value);
  }
}

}  // namespace heddle
