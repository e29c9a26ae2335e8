#include "trainer/metrics/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "framework/core/error.h"

namespace heddle {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

// Not by the variance: rounding of the mean can leave one that is not zero.
bool is_constant(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [&](double v) { return v == values[0]; });
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

std::vector<int64_t> doubled_ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<int64_t> ranks(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]]) {
      ++end;
    }
    for (size_t i = begin; i < end; ++i) {
      ranks[order[i]] = static_cast<int64_t>(begin + 1 + end);
    }
    begin = end;
  }
  return ranks;
}

double area_under_roc(std::span<const double> scores, const std::vector<bool>& positive) {
  check(scores.size() == positive.size(), "[area_under_roc] {} scores for {} labels.",
        scores.size(), positive.size());
  const std::vector<int64_t> ranks = doubled_ranks(scores);
  int64_t positives = 0;
  int64_t rank_sum = 0;
  for (size_t i = 0; i < ranks.size(); ++i) {
    if (positive[i]) {
      ++positives;
      rank_sum += ranks[i];
    }
  }
  const int64_t negatives = static_cast<int64_t>(scores.size()) - positives;
  if (positives == 0 || negatives == 0) {
    return kUndefined;
  }
  const int64_t doubled_wins = rank_sum - positives * (positives + 1);
  return static_cast<double>(doubled_wins) /
         (2.0 * static_cast<double>(positives) * static_cast<double>(negatives));
}

double pearson_correlation(std::span<const double> x, std::span<const double> y) {
  check(x.size() == y.size(), "[pearson_correlation] {} values against {}.", x.size(), y.size());
  if (is_constant(x) || is_constant(y)) {
    return kUndefined;
  }
  const double mean_x = mean(x);
  const double mean_y = mean(y);
  double xx = 0;
  double yy = 0;
  double xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  return std::clamp(xy / (std::sqrt(xx) * std::sqrt(yy)), -1.0, 1.0);
}

double spearman_correlation(std::span<const double> x, std::span<const double> y) {
  const std::vector<int64_t> ranks_x = doubled_ranks(x);
  const std::vector<int64_t> ranks_y = doubled_ranks(y);
  const std::vector<double> as_double_x(ranks_x.begin(), ranks_x.end());
  const std::vector<double> as_double_y(ranks_y.begin(), ranks_y.end());
  return pearson_correlation(as_double_x, as_double_y);
}

}  // namespace heddle
