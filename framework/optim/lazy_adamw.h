// AdamW of a table of which few rows have a gradient in a step: an embedding. The others are left
// as they are until somebody reads them, and then make up for the steps they have missed, in the
// arithmetic of the dense update: the bits are its bits.
//
//   LazyAdamW table({.weight = w, .m = m, .v = v, .width = 384}, device);
//   table.step(ids, gradient, {.lr = 3e-5, .step = 1});
//   parameter.pending = &table;          // readers of the parameter call apply()
//
// A step so costs what its rows cost, not what the table does. What is put off does not grow less:
// but of a row that is read again after k steps, weight and moments pass through memory once
// instead of k times, and the divisions of rows without moments are never made.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/nn/parameter.h"
#include "framework/optim/adamw.h"

namespace heddle {

class LazyAdamW : public PendingUpdates {
 public:
  // Not owned: the rows of the whole table from `first_row` on.
  struct Table {
    std::span<float> weight, m, v;  // [rows, width]
    int64_t width = 0;
    int64_t first_row = 0;
  };

  LazyAdamW(const Table& table, const Device& device);

  // Updates the rows `ids`, which rise and are counted from the first row here, with gradient
  // [ids, width]. The others miss the step.
  void step(std::span<const int64_t> ids, std::span<const float> gradient, const AdamWStep& step);
  // Weights and moments are as after dense updates.
  void apply() override;
  void apply(std::span<const int32_t> rows) override;
  // Others have written to the table, where nothing was pending.
  void look_again();

 private:
  int64_t rows() const { return static_cast<int64_t>(done_.size()); }
  // Adds the row to `behind` if it is, and notes that it is no longer.
  void collect(int64_t row, std::vector<kernels::AdamWRow>& behind);
  void update(std::span<const kernels::AdamWRow> behind) const;

  Table table_;
  Device device_;
  std::vector<AdamWFactors> steps_;  // since all rows were up to date
  std::vector<int32_t> done_;        // of these, by each row
  // Which rows have moments of 0, as most of a vocabulary do.
  std::vector<uint8_t> at_rest_;
};

}  // namespace heddle
