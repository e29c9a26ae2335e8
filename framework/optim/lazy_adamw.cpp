#include "framework/optim/lazy_adamw.h"

#include <algorithm>
#include <bit>

#include "framework/core/error.h"
#include "framework/device/profile.h"

namespace heddle {
namespace {

// So many steps are remembered at most: half a megabyte.
constexpr size_t kMostSteps = 16384;

bool all_zero(std::span<const float> values) {
  return std::ranges::all_of(values, [](float v) { return std::bit_cast<uint32_t>(v) == 0; });
}

}  // namespace

LazyAdamW::LazyAdamW(const Table& table, const Device& device)
    : table_(table),
      device_(device),
      done_(table.weight.size() / static_cast<size_t>(table.width)),
      at_rest_(done_.size(), 1) {
  const size_t size = done_.size() * static_cast<size_t>(table.width);
  check(table.weight.size() == size && table.m.size() == size && table.v.size() == size,
        "[lazy_adamw] {} weights, {} and {} moments in rows of {}. Expected equal numbers of whole "
        "rows.",
        table.weight.size(), table.m.size(), table.v.size(), table.width);
}

void LazyAdamW::step(std::span<const int64_t> ids, std::span<const float> gradient,
                     const AdamWStep& step) {
  const auto width = static_cast<size_t>(table_.width);
  check(gradient.size() == ids.size() * width,
        "[lazy_adamw] {} gradients for {} rows of {}. Expected as many as they have.",
        gradient.size(), ids.size(), width);
  check(ids.empty() || (ids.front() >= 0 && ids.back() < rows()),
        "[lazy_adamw] gradients of rows {} to {}. Expected rows 0 to {}.",
        ids.empty() ? 0 : ids.front(), ids.empty() ? 0 : ids.back(), rows() - 1);
  // A row at rest would move.
  check(step.eps > 0, "[lazy_adamw] eps {}. Expected more than 0.", step.eps);
  if (steps_.size() == kMostSteps) apply();
  steps_.emplace_back(step);
  std::vector<kernels::AdamWRow> behind;
  for (size_t i = 0; i < ids.size(); ++i) {
    collect(ids[i], behind);
    behind.back().gradient = gradient.data() + i * width;
    at_rest_[static_cast<size_t>(ids[i])] = 0;
  }
  update(behind);
}

void LazyAdamW::apply() {
  if (steps_.empty()) return;
  std::vector<kernels::AdamWRow> behind;
  for (int64_t row = 0; row < rows(); ++row) collect(row, behind);
  update(behind);
  steps_.clear();
  std::ranges::fill(done_, 0);
}

void LazyAdamW::apply(std::span<const int32_t> rows_read) {
  if (steps_.empty()) return;
  std::vector<kernels::AdamWRow> behind;
  for (const int32_t id : rows_read) {
    const int64_t row = id - table_.first_row;
    if (row >= 0 && row < rows()) collect(row, behind);
  }
  update(behind);
}

void LazyAdamW::collect(int64_t row, std::vector<kernels::AdamWRow>& behind) {
  const auto r = static_cast<size_t>(row);
  const auto done = static_cast<size_t>(done_[r]);
  if (done == steps_.size()) return;
  const int64_t at = row * table_.width;
  behind.push_back({.weight = table_.weight.data() + at,
                    .m = table_.m.data() + at,
                    .v = table_.v.data() + at,
                    .steps = std::span(steps_).subspan(done),
                    .at_rest = at_rest_[r] != 0});
  done_[r] = static_cast<int32_t>(steps_.size());
}

void LazyAdamW::update(std::span<const kernels::AdamWRow> behind) const {
  const ProfiledSpan span("adamw rows");
  on_device(device_, [&](auto on) { kernels::adamw_update_rows(on, behind, table_.width); });
}

void LazyAdamW::look_again() {
  check(steps_.empty(), "[lazy_adamw] rows are behind by up to {} steps. Expected none.",
        steps_.size());
  const auto width = static_cast<size_t>(table_.width);
  for (size_t row = 0; row < at_rest_.size(); ++row) {
    const auto of_row = [&](std::span<const float> all) { return all.subspan(row * width, width); };
    at_rest_[row] = all_zero(of_row(table_.m)) && all_zero(of_row(table_.v));
  }
}

}  // namespace heddle
