#include "trainer/precision_choice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "framework/comm/collectives.h"
#include "framework/ops/precision_speed.h"
#include "trainer/log/format.h"
#include "trainer/metrics/text_table.h"

namespace heddle {
namespace {

std::string percent(double share) {
  return format_number(100 * share) + " %";
}

double times_as_fast(const MeasuredPrecisions& measured, const PrecisionMeasurement& of) {
  return measured.precisions.front().seconds / of.seconds;
}

double rate(int64_t count, const PrecisionMeasurement& of) {
  return static_cast<double>(count) / of.seconds;
}

// "int8 4.9 x, 3 flips (0.586 %)"
std::string in_short(const MeasuredPrecisions& measured, const PrecisionMeasurement& of) {
  const std::string change = percent(measured.change(of));
  return fmt::format(
      "{} {:.2f} x, {}", name_of(of.precision), times_as_fast(measured, of),
      measured.problem == Problem::kRegression
          ? change
          : fmt::format("{} flip{} ({})", of.flips, of.flips == 1 ? "" : "s", change));
}

Json number_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

}  // namespace

Precision fastest_safe_precision(Communicator& world) {
  const int64_t mine = fastest_safe_precision() == Precision::kBF16;
  const int64_t all = all_reduce(world, mine, Reduction::kMin, "precision");
  return all == 1 ? Precision::kBF16 : Precision::kF32;
}

std::optional<std::string> slow_precision(Precision precision) {
  if (has_fast_products(precision)) return {};
  return fmt::format(
      "precision {}: this processor has no fast products for it; f32 would be faster",
      name_of(precision));
}

double MeasuredPrecisions::change(const PrecisionMeasurement& of) const {
  if (problem == Problem::kRegression) return of.relative_difference;
  return static_cast<double>(of.flips) / static_cast<double>(rows);
}

Precision choose_precision(const MeasuredPrecisions& measured, double limit) {
  const PrecisionMeasurement* best = &measured.precisions.front();
  for (const PrecisionMeasurement& of : measured.precisions) {
    if (of.seconds < best->seconds && measured.change(of) <= limit) best = &of;
  }
  return best->precision;
}

std::string explain_choice(const MeasuredPrecisions& measured, double limit) {
  std::vector<std::string> others;
  for (const PrecisionMeasurement& of : measured.precisions) {
    if (of.precision != Precision::kF32) others.push_back(in_short(measured, of));
  }
  if (others.empty()) return "f32: there is no other here";
  return fmt::format(
      "{}: the fastest {} at most {} of {}; against f32 on {} rows: {}",
      name_of(choose_precision(measured, limit)),
      measured.problem == Problem::kRegression ? "whose numbers are off by" : "that flips",
      percent(limit), measured.problem == Problem::kRegression ? "their spread" : "labels",
      format_count(measured.rows), fmt::join(others, "; "));
}

std::string precision_table(const MeasuredPrecisions& measured, double limit) {
  const bool regression = measured.problem == Problem::kRegression;
  std::vector<TextTable::Column> columns{{"precision", Align::kLeft},
                                         {"rows/s", Align::kRight},
                                         {"tokens/s", Align::kRight},
                                         {"times f32", Align::kRight},
                                         {"largest difference", Align::kRight},
                                         {regression ? "of the spread" : "flips", Align::kRight}};
  if (!measured.metric.empty()) columns.push_back({measured.metric, Align::kRight});
  TextTable table(std::move(columns));
  for (const PrecisionMeasurement& of : measured.precisions) {
    std::vector<std::string> cells{
        std::string(name_of(of.precision)),
        format_count(std::llround(rate(measured.rows, of))),
        format_count(std::llround(rate(measured.tokens, of))),
        fmt::format("{:.2f}", times_as_fast(measured, of)),
        format_number(of.largest_difference),
        regression ? percent(of.relative_difference) : std::to_string(of.flips)};
    if (!measured.metric.empty()) cells.push_back(format_number(of.metric.value_or(NAN)));
    table.add(std::move(cells));
  }
  std::string text = fmt::format("{} rows, {} tokens\n\n{}\n", format_count(measured.rows),
                                 format_count(measured.tokens), table.text());
  for (const std::string& note : measured.notes) text += note + "\n";
  return text + "recommended: " + explain_choice(measured, limit) + "\n";
}

Json to_json(const MeasuredPrecisions& measured, double limit) {
  Json json = {{"rows", measured.rows},
               {"tokens", measured.tokens},
               {"limit", limit},
               {"recommended", std::string(name_of(choose_precision(measured, limit)))},
               {"notes", measured.notes},
               {"precisions", Json::array()}};
  for (const PrecisionMeasurement& of : measured.precisions) {
    Json one = {{"precision", std::string(name_of(of.precision))},
                {"seconds", of.seconds},
                {"rows_per_s", rate(measured.rows, of)},
                {"tokens_per_s", rate(measured.tokens, of)},
                {"largest_difference", number_or_null(of.largest_difference)},
                {"relative_difference", number_or_null(of.relative_difference)}};
    if (measured.problem != Problem::kRegression) one["flips"] = of.flips;
    if (of.metric) one[measured.metric] = number_or_null(*of.metric);
    json["precisions"].push_back(std::move(one));
  }
  return json;
}

}  // namespace heddle
