#include "framework/io/box.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace heddle {

namespace {

// Elements between neighbours along each axis.
std::vector<int64_t> strides(std::span<const int64_t> extent) {
  std::vector<int64_t> result(extent.size(), 1);
  for (size_t axis = extent.size(); axis-- > 1;) result[axis - 1] = result[axis] * extent[axis];
  return result;
}

int64_t offset_of(const Box& box, std::span<const int64_t> stride, std::span<const int64_t> at) {
  int64_t offset = 0;
  for (size_t axis = 0; axis < at.size(); ++axis) {
    offset += (at[axis] - box.begin[axis]) * stride[axis];
  }
  return offset;
}

}  // namespace

int64_t volume(std::span<const int64_t> extent) {
  int64_t result = 1;
  for (const int64_t e : extent) {
    if (__builtin_mul_overflow(result, e, &result)) {
      throw std::overflow_error(fmt::format("[{}] has too many elements", fmt::join(extent, ", ")));
    }
  }
  return result;
}

int64_t Box::volume() const {
  return heddle::volume(extent);
}

Box whole(std::span<const int64_t> shape) {
  return {std::vector<int64_t>(shape.size(), 0), {shape.begin(), shape.end()}};
}

bool is_inside(const Box& box, std::span<const int64_t> shape) {
  if (box.begin.size() != shape.size() || box.extent.size() != shape.size()) return false;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (box.begin[axis] < 0 || box.extent[axis] < 0) return false;
    if (box.extent[axis] > shape[axis] || box.begin[axis] > shape[axis] - box.extent[axis])
      return false;
  }
  return true;
}

std::optional<Box> intersection(const Box& a, const Box& b) {
  Box common = a;
  for (size_t axis = 0; axis < a.begin.size(); ++axis) {
    const int64_t begin = std::max(a.begin[axis], b.begin[axis]);
    const int64_t end = std::min(a.begin[axis] + a.extent[axis], b.begin[axis] + b.extent[axis]);
    if (end <= begin) return std::nullopt;
    common.begin[axis] = begin;
    common.extent[axis] = end - begin;
  }
  return common;
}

std::string tiling_fault(std::span<const int64_t> shape, std::span<const Box> boxes) {
  int64_t covered = 0;
  for (const Box& box : boxes) {
    if (!is_inside(box, shape)) {
      return fmt::format("{} is not inside [{}]", to_string(box), fmt::join(shape, ", "));
    }
    covered += box.volume();
  }
  // Along the first axis only neighbours can meet.
  std::vector<const Box*> ordered;
  for (const Box& box : boxes) ordered.push_back(&box);
  const auto begin_of = [](const Box* box) { return box->begin.empty() ? 0 : box->begin[0]; };
  std::sort(ordered.begin(), ordered.end(),
            [&](const Box* a, const Box* b) { return begin_of(a) < begin_of(b); });
  for (size_t i = 0; i < ordered.size(); ++i) {
    for (size_t j = i + 1; j < ordered.size(); ++j) {
      const Box& a = *ordered[i];
      if (!a.begin.empty() && begin_of(ordered[j]) >= a.begin[0] + a.extent[0]) break;
      if (const auto common = intersection(a, *ordered[j])) {
        return fmt::format("overlap at {}", to_string(*common));
      }
    }
  }
  const int64_t expected = volume(shape);
  if (covered != expected) return fmt::format("hole: {} of {} elements", covered, expected);
  return "";
}

void for_each_run(const Box& source, const Box& target, const Box& part,
                  const std::function<void(BoxRun)>& visit) {
  if (part.volume() == 0) return;
  const std::vector<int64_t> source_stride = strides(source.extent);
  const std::vector<int64_t> target_stride = strides(target.extent);
  // Axes from `first` on form one run: the part fills both boxes along all of them but the first.
  size_t first = part.extent.size();
  int64_t count = 1;
  while (first > 0) {
    --first;
    count *= part.extent[first];
    if (part.extent[first] != source.extent[first] || part.extent[first] != target.extent[first])
      break;
  }
  std::vector<int64_t> at = part.begin;
  while (true) {
    visit({offset_of(source, source_stride, at), offset_of(target, target_stride, at), count});
    size_t axis = first;
    while (axis > 0) {
      --axis;
      if (++at[axis] < part.begin[axis] + part.extent[axis]) break;
      at[axis] = part.begin[axis];
      if (axis == 0) return;
    }
    if (first == 0) return;
  }
}

std::string to_string(const Box& box) {
  std::vector<std::string> axes;
  for (size_t axis = 0; axis < box.begin.size(); ++axis) {
    axes.push_back(fmt::format("{}:{}", box.begin[axis], box.begin[axis] + box.extent[axis]));
  }
  return fmt::format("[{}]", fmt::join(axes, ", "));
}

}  // namespace heddle
