#include "trainer/log/format.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace heddle {

std::string format_duration(double seconds) {
  constexpr double kLongest = 1e12;  // beyond it the integers below would overflow
  if (!std::isfinite(seconds) || seconds < 0 || seconds > kLongest) {
    return "?";
  }
  const auto total = std::llround(seconds);
  const auto minutes = total / 60;
  const auto hours = minutes / 60;
  if (total < 60) {
    return fmt::format("{} s", total);
  }
  if (minutes < 60) {
    return fmt::format("{} min {:02} s", minutes, total % 60);
  }
  if (hours < 48) {
    return fmt::format("{} h {:02} min", hours, minutes % 60);
  }
  return fmt::format("{} d {:02} h", hours / 24, hours % 24);
}

std::string format_count(int64_t count) {
  std::string digits = std::to_string(count);
  const int64_t first = count < 0 ? 1 : 0;
  for (int64_t i = static_cast<int64_t>(digits.size()) - 3; i > first; i -= 3) {
    digits.insert(static_cast<size_t>(i), 1, ',');
  }
  return digits;
}

std::string format_number(double value) {
  return std::isnan(value) ? "n/a" : fmt::format("{:.4g}", value);
}

std::string format_bytes(uint64_t bytes) {
  constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return unit < 3 ? fmt::format("{:.0f} {}", value, kUnits[unit])
                  : fmt::format("{:.2f} {}", value, kUnits[unit]);
}

}  // namespace heddle
