// Values of a config that people write in more than one way: "6%" or 200, "1 epoch" or 500 or
// "never", "300 s", all | head | {layers: 2}.
//
//   StepsOrShare warmup = *StepsOrShare::parse("6%");
//   warmup.of(1895);                                  // 114 steps
//
// Each has `parse(text)`, empty if the text is not of the form that `kForm` describes, and
// `text()`, which `parse` reads back to an equal value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace heddle {

// A number of steps, or a share of all steps of a run.
struct StepsOrShare {
  static constexpr const char* kForm = "steps such as 200, or a share such as 6%";

  double percent = 0;      // used if steps is 0
  std::int64_t steps = 0;  // at least 0

  static std::optional<StepsOrShare> parse(std::string_view text);
  std::string text() const;
  // The steps it means in a run of `total_steps`: a share is rounded up. At most `total_steps`.
  std::int64_t of(std::int64_t total_steps) const;

  bool operator==(const StepsOrShare&) const = default;
};

// How often something happens: every so many steps or epochs, or never.
struct Every {
  static constexpr const char* kForm = "steps such as 500, '1 epoch', '0.5 epochs', or never";

  std::int64_t steps = 0;  // one of the two is above 0, or neither: never
  double epochs = 0;

  static std::optional<Every> parse(std::string_view text);
  std::string text() const;
  // The steps between two times when an epoch has `steps_per_epoch`: at least 1, or 0 for never.
  std::int64_t in_steps(std::int64_t steps_per_epoch) const;

  bool operator==(const Every&) const = default;
};

// A span of time.
struct Duration {
  static constexpr const char* kForm = "a time such as '300 s', '5 min' or '1 h'";

  double seconds = 0;  // at least 0

  static std::optional<Duration> parse(std::string_view text);
  std::string text() const;

  bool operator==(const Duration&) const = default;
};

// Which parameters training changes.
struct TrainedPart {
  static constexpr const char* kForm = "all, head, or {layers: N}";

  enum class Kind { kAll, kHead, kLayers };
  Kind kind = Kind::kAll;
  std::int64_t layers = 0;  // kLayers: the head and this many last layers, at least 1

  bool operator==(const TrainedPart&) const = default;
};

// A whole number without sign trouble: digits, perhaps after '-', no leading zero, no point.
std::optional<std::int64_t> parse_integer(std::string_view text);

// A finite decimal number, without leading zeros, hexadecimal digits or a '+' in front.
std::optional<double> parse_number(std::string_view text);

// The shortest text that parse_number reads back to `value`: "5e-5", "0.9", "3".
std::string number_text(double value);

}  // namespace heddle
