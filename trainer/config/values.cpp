#include "trainer/config/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace heddle {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Takes `suffix` and the spaces before it off the end of `text`, if it is there.
bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text = trim(text.substr(0, text.size() - suffix.size()));
  return true;
}

bool has_leading_zero(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9';
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, value);
  if (status != std::errc() || stop != end || has_leading_zero(text)) return std::nullopt;
  return value;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, value);
  if (status != std::errc() || stop != end || has_leading_zero(text)) return std::nullopt;
  if (!std::isfinite(value)) return std::nullopt;  // from_chars takes "inf" and "nan"
  return value;
}

std::string number_text(double value) {
  std::string text = fmt::format("{}", value);
  const size_t exponent = text.find('e');
  if (exponent == std::string::npos) return text;
  size_t digit = exponent + 1;
  if (text[digit] == '+') text.erase(digit, 1);
  if (text[digit] == '-') ++digit;
  while (digit + 1 < text.size() && text[digit] == '0') text.erase(digit, 1);
  return text;
}

std::optional<StepsOrShare> StepsOrShare::parse(std::string_view text) {
  if (take_suffix(text, "%")) {
    const auto percent = parse_number(text);
    if (!percent || *percent < 0 || *percent > 100) return std::nullopt;
    return StepsOrShare{.percent = *percent};
  }
  if (!take_suffix(text, "steps")) take_suffix(text, "step");
  const auto steps = parse_integer(text);
  if (!steps || *steps < 0) return std::nullopt;
  return StepsOrShare{.steps = *steps};
}

std::string StepsOrShare::text() const {
  if (percent > 0) return number_text(percent) + "%";
  return std::to_string(steps);
}

std::int64_t StepsOrShare::of(std::int64_t total_steps) const {
  std::int64_t value = steps;
  if (percent > 0) {
    value = static_cast<std::int64_t>(std::ceil(percent * static_cast<double>(total_steps) / 100));
  }
  return std::min(value, total_steps);
}

std::optional<Every> Every::parse(std::string_view text) {
  if (text == "never") return Every{};
  if (take_suffix(text, "epochs") || take_suffix(text, "epoch")) {
    const auto epochs = parse_number(text);
    if (!epochs || *epochs <= 0) return std::nullopt;
    return Every{.epochs = *epochs};
  }
  if (!take_suffix(text, "steps")) take_suffix(text, "step");
  const auto steps = parse_integer(text);
  if (!steps || *steps < 1) return std::nullopt;
  return Every{.steps = *steps};
}

std::string Every::text() const {
  if (epochs > 0) return number_text(epochs) + (epochs == 1 ? " epoch" : " epochs");
  return steps > 0 ? std::to_string(steps) : "never";
}

std::int64_t Every::in_steps(std::int64_t steps_per_epoch) const {
  if (epochs <= 0) return steps;
  const double exact = epochs * static_cast<double>(steps_per_epoch);
  return std::max<std::int64_t>(1, std::llround(exact));
}

std::optional<Duration> Duration::parse(std::string_view text) {
  struct Unit {
    std::string_view name;
    double seconds;
  };
  // The longer names first: "min" ends in no shorter one, "ms" ends in "s".
  static constexpr std::array<Unit, 4> kUnits{{{"ms", 1e-3}, {"min", 60}, {"h", 3600}, {"s", 1}}};
  for (const Unit& unit : kUnits) {
    if (!take_suffix(text, unit.name)) continue;
    const auto value = parse_number(text);
    if (!value || *value < 0) return std::nullopt;
    return Duration{.seconds = *value * unit.seconds};
  }
  return std::nullopt;
}

std::string Duration::text() const {
  return number_text(seconds) + " s";
}

}  // namespace heddle
