#include "framework/nn/shard.h"

#include <algorithm>

#include "framework/core/error.h"

namespace heddle {
namespace {

// The shard's memory as rows of equal boxes: [outer][blocks][extent][inner].
struct Geometry {
  explicit Geometry(const Parameter& parameter) : shard(parameter.shard()) {
    const Shape& whole = parameter.whole_shape();
    for (int axis = 0; axis < whole.ndim(); ++axis) {
      (axis < shard.dim ? outer : axis > shard.dim ? inner : along) *= whole[axis];
    }
    block = along / shard.blocks;
  }

  Shard shard;
  int64_t outer = 1, along = 1, inner = 1;
  int64_t block = 1;  // elements along `dim` of one block of the whole
};

// Cuts [first, last) of the row-major memory of `extent` into boxes, each a range along one axis
// below fixed indices of the axes before it: at most two an axis.
class Cutter {
 public:
  Cutter(std::vector<int64_t> extent, int64_t offset, std::vector<ShardBox>& boxes)
      : extent_(std::move(extent)),
        stride_(extent_.size() + 1, 1),
        at_(extent_.size(), 0),
        offset_(offset),
        boxes_(boxes) {
    for (size_t axis = extent_.size(); axis-- > 0;) {
      stride_[axis] = stride_[axis + 1] * extent_[axis];
    }
  }

  void cut(size_t axis, int64_t first, int64_t last) {
    if (first >= last) return;
    const int64_t row = stride_[axis + 1];
    const int64_t begin = (first + row - 1) / row;  // whole rows are [begin, end)
    const int64_t end = last / row;
    if (begin > end) {  // inside one row
      inside(axis, end, first, last);
      return;
    }
    if (first < begin * row) inside(axis, begin - 1, first, begin * row);
    if (begin < end) add(axis, begin, end);
    if (end * row < last) inside(axis, end, end * row, last);
  }

 private:
  void inside(size_t axis, int64_t row, int64_t first, int64_t last) {
    const int64_t base = row * stride_[axis + 1];
    at_[axis] = row;
    offset_ += base;
    cut(axis + 1, first - base, last - base);
    offset_ -= base;
    at_[axis] = 0;
  }

  void add(size_t axis, int64_t begin, int64_t end) {
    ShardBox box{at_, extent_, offset_ + begin * stride_[axis + 1],
                 (end - begin) * stride_[axis + 1]};
    std::fill_n(box.extent.begin(), axis, 1);
    box.begin[axis] = begin;
    box.extent[axis] = end - begin;
    boxes_.push_back(std::move(box));
  }

  std::vector<int64_t> extent_;
  std::vector<int64_t> stride_;  // elements of a step along the axis before
  std::vector<int64_t> at_;
  int64_t offset_;
  std::vector<ShardBox>& boxes_;
};

// The boxes of [first, last) of what is one box of the whole tensor, `offset` into the memory.
void append_boxes(const std::vector<int64_t>& begin, std::vector<int64_t> extent, int64_t offset,
                  int64_t first, int64_t last, std::vector<ShardBox>& boxes) {
  const size_t before = boxes.size();
  Cutter(std::move(extent), offset, boxes).cut(0, first, last);
  for (size_t i = before; i < boxes.size(); ++i) {
    for (size_t axis = 0; axis < begin.size(); ++axis) boxes[i].begin[axis] += begin[axis];
  }
}

}  // namespace

std::vector<ShardBox> shard_boxes(const Parameter& parameter, int64_t first, int64_t last) {
  const Shape& whole = parameter.whole_shape();
  const int64_t numel = parameter.shape().numel();
  check(0 <= first && first <= last && last <= numel,
        "[shard_boxes] elements [{}, {}) of a shard of {}", first, last, numel);
  const Geometry of(parameter);
  const auto dim = static_cast<size_t>(of.shard.dim);
  std::vector<int64_t> begin(static_cast<size_t>(whole.ndim()), 0);
  std::vector<int64_t> extent(whole.begin(), whole.end());
  extent[dim] = of.shard.extent;
  begin[dim] = of.shard.begin;
  std::vector<ShardBox> boxes;
  if (of.shard.blocks == 1) {
    append_boxes(begin, extent, 0, first, last, boxes);
    return boxes;
  }
  // One row before `dim`, one block: a box that lies together.
  const int64_t each = of.shard.extent * of.inner;
  std::fill_n(extent.begin(), dim, 1);
  for (int64_t row = 0; row < of.outer && each > 0; ++row) {
    int64_t rest = row;
    for (size_t axis = dim; axis-- > 0; rest /= whole[static_cast<int>(axis)]) {
      begin[axis] = rest % whole[static_cast<int>(axis)];
    }
    for (int64_t b = 0; b < of.shard.blocks; ++b) {
      const int64_t offset = (row * of.shard.blocks + b) * each;
      begin[dim] = b * of.block + of.shard.begin;
      append_boxes(begin, extent, offset, std::max(first - offset, int64_t{0}),
                   std::min(last - offset, each), boxes);
    }
  }
  return boxes;
}

std::vector<ShardBox> shard_boxes(const Parameter& parameter) {
  return shard_boxes(parameter, 0, parameter.shape().numel());
}

void for_each_run(const Parameter& parameter, const std::function<void(ShardRun)>& visit) {
  const Geometry of(parameter);
  const int64_t count = of.shard.extent * of.inner;
  if (count == 0 || of.outer == 0) return;
  if (parameter.shape() == parameter.whole_shape()) {
    visit({0, 0, parameter.whole_shape().numel()});
    return;
  }
  int64_t local = 0;
  for (int64_t row = 0; row < of.outer; ++row) {
    for (int64_t b = 0; b < of.shard.blocks; ++b) {
      visit({local, (row * of.along + b * of.block + of.shard.begin) * of.inner, count});
      local += count;
    }
  }
}

}  // namespace heddle
