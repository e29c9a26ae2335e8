// Who predicts which rows: a window of rows is sorted by length, cut into batches, and the batches
// are dealt over ranks so that all have about as many tokens. Every rank computes the same deal.
//
//   const Deal deal = deal_rows(lengths, {.tokens = 4096, .ranks = 4});
//   for (int64_t b : deal.batches_of[rank]) predict(deal.batches[b]);
//   std::vector<float> scores = in_input_order(deal, classes, gathered);       // on one rank
//
// Batches do not depend on the number of ranks, so neither do the bits of a result.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace heddle {

struct DealOptions {
  int64_t tokens = 4096;  // a batch has at most as many; a longer row is a batch of its own
  int64_t ranks = 1;
};

struct Deal {
  std::vector<std::vector<int64_t>> batches;     // rows of the window, longest first; each row once
  std::vector<int64_t> tokens;                   // of each batch
  std::vector<std::vector<int64_t>> batches_of;  // one list a rank, in the order to work in

  // The rows of a rank, in the order in which its batches take them.
  std::vector<int64_t> rows_of(int64_t rank) const;
};

// `lengths`: the tokens of each row of the window. Rows of equal length keep their order.
Deal deal_rows(std::span<const int64_t> lengths, const DealOptions& options);

// Results of `width` numbers a row: of_rank[r] those of rows_of(r), one after another. Returns them
// by row of the window. Throws std::invalid_argument if a rank has given another count.
std::vector<float> in_input_order(const Deal& deal, int64_t width,
                                  std::span<const std::vector<float>> of_rank);

}  // namespace heddle
