// Statistics of ranks, exact with ties.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace heddle {

// Twice the average rank (from 1) of each value, so that ranks of ties stay whole numbers:
// {5, 7, 5} gives {3, 6, 3}.
std::vector<int64_t> doubled_ranks(std::span<const double> values);

// The area under the ROC curve: the share of (positive, negative) pairs in which the positive
// scores higher, a tie counting one half (Mann-Whitney). NaN if either class is missing.
double area_under_roc(std::span<const double> scores, const std::vector<bool>& positive);

// Pearson's correlation. NaN if either side is constant or empty.
double pearson_correlation(std::span<const double> x, std::span<const double> y);

// Spearman's correlation: Pearson's over average ranks. NaN as there.
double spearman_correlation(std::span<const double> x, std::span<const double> y);

}  // namespace heddle
