#include "framework/parallel/group.h"

#include <utility>

#include "framework/core/error.h"
#include "framework/device/work.h"

namespace heddle {
namespace {

// Parts of a matrix begin on multiples of so many elements, where there are enough of them.
constexpr int64_t kAlignment = 16;

int64_t units_of_width(int64_t width, int64_t parts) {
  const bool aligned = width % kAlignment == 0 && width / kAlignment >= parts;
  return aligned ? width / kAlignment : width;
}

}  // namespace

Group::Group(int size, int index, int parts, std::shared_ptr<TreeReducer> ranks)
    : size_(size), index_(index), parts_(parts), ranks_(std::move(ranks)) {
  check(size >= 1 && index >= 0 && index < size, "[group] rank {} of {}.", index, size);
  check(parts >= size && parts % size == 0,
        "[group] {} parts for {} ranks. Expected a multiple of the ranks.", parts, size);
}

Range Group::elements(int64_t width, int64_t units, int part) const {
  if (units == 0) units = units_of_width(width, parts_);
  check(width % units == 0, "[group] {} elements in {} units.", width, units);
  check(units >= parts_, "[group] {} units in {} parts. Expected one or more for each part.", units,
        parts_);
  const Range range = split_evenly(units, part, parts_);
  const int64_t unit = width / units;
  return {range.begin * unit, range.end * unit};
}

void Group::all_reduce(const Tensor& values, const char* name) const {
  if (size_ == 1) return;
  if (values.device().is_meta()) {
    return count_work({.sum_bytes = static_cast<double>(values.bytes()), .sums = 1});
  }
  if (leave_out_ && leave_out_(name)) return;
  check(ranks_ != nullptr, "[group] a sum over {} ranks that are not there.", size_);
  ranks_->all_reduce(values.span<float>(), name);
}

}  // namespace heddle
