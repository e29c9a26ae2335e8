#include "framework/parallel/group.h"

#include <algorithm>
#include <utility>
#include <vector>

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

// On the meta device: a scatter or a gather, each half of a sum.
void count_half(const Tensor& values) {
  count_work({.sum_bytes = static_cast<double>(values.bytes()) / 2, .sums = 1});
}

std::vector<int64_t> in_elements(std::span<const int64_t> rows, const Tensor& values) {
  const int64_t width = values.numel() / std::max<int64_t>(1, values.dim(0));
  std::vector<int64_t> elements;
  for (const int64_t row : rows) elements.push_back(row * width);
  return elements;
}

}  // namespace

Group::Group(int size, int index, int parts, std::shared_ptr<TreeReducer> ranks, Stream stream)
    : size_(size), index_(index), parts_(parts), ranks_(std::move(ranks)), stream_(stream) {
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
  if (left_out(name)) return;
  ranks().all_reduce(values.span<float>(), name);
}

Tensor Group::reduce_scatter(const Tensor& values, std::span<const int64_t> offsets,
                             const char* name) const {
  const Tensor own =
      values.rows(offsets[static_cast<size_t>(index_)], offsets[static_cast<size_t>(index_) + 1]);
  if (values.device().is_meta()) count_half(values);
  if (values.device().is_meta() || left_out(name)) return own.clone();
  Tensor sum = Tensor::empty_like(own);
  ranks().reduce_scatter(values.span<float>(), in_elements(offsets, values), sum.span<float>(),
                         name);
  return sum;
}

void Group::all_gather(const Tensor& values, std::span<const int64_t> offsets,
                       const char* name) const {
  if (values.device().is_meta()) return count_half(values);
  ranks().all_gather(values.span<float>(), in_elements(offsets, values), name);
}

TreeReducer& Group::ranks() const {
  check(ranks_ != nullptr, "[group] a sum over {} ranks that are not there.", size_);
  return *ranks_;
}

}  // namespace heddle
