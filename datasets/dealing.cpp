#include "datasets/dealing.h"

#include <algorithm>
#include <numeric>

#include "framework/core/error.h"

namespace heddle {
namespace {

// Indices of `values`, the largest first; equal ones in their order.
std::vector<int64_t> descending(std::span<const int64_t> values) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)];
  });
  return order;
}

}  // namespace

std::vector<int64_t> Deal::rows_of(int64_t rank) const {
  std::vector<int64_t> rows;
  for (const int64_t batch : batches_of.at(static_cast<size_t>(rank))) {
    const std::vector<int64_t>& part = batches[static_cast<size_t>(batch)];
    rows.insert(rows.end(), part.begin(), part.end());
  }
  return rows;
}

Deal deal_rows(std::span<const int64_t> lengths, const DealOptions& options) {
  check(options.tokens > 0 && options.ranks > 0,
        "[deal] batches of {} tokens for {} ranks. Expected both above 0.", options.tokens,
        options.ranks);
  Deal deal;
  for (const int64_t row : descending(lengths)) {
    const int64_t length = lengths[static_cast<size_t>(row)];
    if (deal.batches.empty() || deal.tokens.back() + length > options.tokens) {
      deal.batches.emplace_back();
      deal.tokens.push_back(0);
    }
    deal.batches.back().push_back(row);
    deal.tokens.back() += length;
  }
  // The largest batch first, each to the rank with the least so far (Graham 1969).
  deal.batches_of.resize(static_cast<size_t>(options.ranks));
  std::vector<int64_t> load(deal.batches_of.size(), 0);
  for (const int64_t batch : descending(deal.tokens)) {
    const auto rank =
        static_cast<size_t>(std::min_element(load.begin(), load.end()) - load.begin());
    deal.batches_of[rank].push_back(batch);
    load[rank] += deal.tokens[static_cast<size_t>(batch)];
  }
  return deal;
}

std::vector<float> in_input_order(const Deal& deal, int64_t width,
                                  std::span<const std::vector<float>> of_rank) {
  check(of_rank.size() == deal.batches_of.size(), "[deal] results of {} ranks. Expected {}.",
        of_rank.size(), deal.batches_of.size());
  size_t rows = 0;
  for (const std::vector<int64_t>& batch : deal.batches) rows += batch.size();
  std::vector<float> ordered(rows * static_cast<size_t>(width));
  for (size_t rank = 0; rank < of_rank.size(); ++rank) {
    const std::vector<int64_t> rows_of_rank = deal.rows_of(static_cast<int64_t>(rank));
    check(of_rank[rank].size() == rows_of_rank.size() * static_cast<size_t>(width),
          "[deal] {} numbers from rank {}. Expected {} rows of {}.", of_rank[rank].size(), rank,
          rows_of_rank.size(), width);
    for (size_t i = 0; i < rows_of_rank.size(); ++i) {
      std::copy_n(of_rank[rank].begin() + static_cast<int64_t>(i) * width, width,
                  ordered.begin() + rows_of_rank[i] * width);
    }
  }
  return ordered;
}

}  // namespace heddle
