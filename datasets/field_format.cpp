#include "datasets/field_format.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "framework/core/error.h"

namespace heddle {
namespace {

// Whether any byte of `value` satisfies `special`; without a branch a byte, so that it vectorizes.
template <typename Special>
bool any(std::string_view value, Special special) {
  bool found = false;
  for (const char c : value) found |= special(c);
  return found;
}

void append_tsv(std::string_view value, std::string& out) {
  const size_t begin = out.size();
  out += value;
  const auto breaks = [](char c) { return (c == '\t') | (c == '\n') | (c == '\r'); };
  if (!any(value, breaks)) [[likely]]
    return;
  for (size_t i = begin; i < out.size(); ++i) {
    if (breaks(out[i])) out[i] = ' ';
  }
}

void append_csv(std::string_view value, std::string& out) {
  const bool quoted =
      any(value, [](char c) { return (c == ',') | (c == '"') | (c == '\n') | (c == '\r'); });
  if (!quoted) {
    out += value;
    return;
  }
  out += '"';
  size_t quote;
  while ((quote = value.find('"')) != std::string_view::npos) {
    out += value.substr(0, quote + 1);
    out += '"';
    value.remove_prefix(quote + 1);
  }
  out += value;
  out += '"';
}

void append_json_string(std::string_view value, std::string& out) {
  out += '"';
  const auto special = [](char c) {
    return (static_cast<unsigned char>(c) < 0x20) | (c == '"') | (c == '\\');
  };
  if (!any(value, special)) [[likely]] {
    out += value;
  } else {
    constexpr std::string_view kMeanings = "\"\\\b\f\n\r\t", kEscapes = "\"\\bfnrt";
    for (const char c : value) {
      if (!special(c)) {
        out += c;
      } else if (const size_t known = kMeanings.find(c); known != std::string_view::npos) {
        out += '\\';
        out += kEscapes[known];
      } else {
        out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
      }
    }
  }
  out += '"';
}

}  // namespace

void append_text(Format format, std::string_view value, std::string& out) {
  switch (format) {
    case Format::kTsv:
      return append_tsv(value, out);
    case Format::kCsv:
      return append_csv(value, out);
    default:
      return append_json_string(value, out);
  }
}

void append_json(Format format, std::string_view value, std::string& out) {
  if (format == Format::kJsonl) {
    out += value;
  } else if (value != "null") {
    append_text(format, value, out);
  }
}

void append_number(Format format, float value, std::string& out) {
  if (format == Format::kJsonl && !std::isfinite(value)) {
    out += "null";
    return;
  }
  char digits[32];
  const std::to_chars_result result = std::to_chars(digits, digits + sizeof digits, value);
  out.append(digits, result.ptr);
}

}  // namespace heddle
