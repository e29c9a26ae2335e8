#include "framework/parallel/sparse_rows.h"

#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "framework/core/error.h"

namespace heddle {
namespace {

void check_rows(const SparseRows& rows) {
  check(rows.width > 0 && rows.values.size() == rows.ids.size() * static_cast<size_t>(rows.width),
        "[sparse_rows] {} values for {} rows of width {}.", rows.values.size(), rows.ids.size(),
        rows.width);
  for (size_t i = 1; i < rows.ids.size(); ++i) {
    check(rows.ids[i - 1] < rows.ids[i],
          "[sparse_rows] row {} follows row {}. Expected rising ids.", rows.ids[i],
          rows.ids[i - 1]);
  }
}

// One message: the ids, then the values.
Bytes pack(const SparseRows& rows) {
  const auto ids = std::as_bytes(std::span(rows.ids));
  const auto values = std::as_bytes(std::span(rows.values));
  Bytes bytes(ids.begin(), ids.end());
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

SparseRows unpack(const Bytes& bytes, int64_t width) {
  const size_t row_bytes = sizeof(int64_t) + static_cast<size_t>(width) * sizeof(float);
  SparseRows rows;
  rows.width = width;
  rows.ids.resize(bytes.size() / row_bytes);
  rows.values.resize(rows.ids.size() * static_cast<size_t>(width));
  const size_t id_bytes = rows.ids.size() * sizeof(int64_t);
  if (bytes.empty()) return rows;
  std::memcpy(rows.ids.data(), bytes.data(), id_bytes);
  std::memcpy(rows.values.data(), bytes.data() + id_bytes, rows.values.size() * sizeof(float));
  return rows;
}

Bytes exchange(Communicator& group, int peer, const Bytes& mine) {
  int64_t their_size = 0;
  const auto my_size = static_cast<int64_t>(mine.size());
  group.exchange(peer, std::as_bytes(std::span(&my_size, 1)),
                 std::as_writable_bytes(std::span(&their_size, 1)));
  Bytes theirs(static_cast<size_t>(their_size));
  group.exchange(peer, mine, theirs);
  return theirs;
}

}  // namespace

SparseRows merge_rows(const SparseRows& left, const SparseRows& right) {
  check(left.width == right.width, "[merge_rows] rows of width {} and {}. Expected equal widths.",
        left.width, right.width);
  check_rows(left);
  check_rows(right);
  const auto width = static_cast<size_t>(left.width);
  SparseRows sum;
  sum.width = left.width;
  sum.ids.reserve(left.ids.size() + right.ids.size());
  sum.values.reserve(left.values.size() + right.values.size());
  size_t l = 0;
  size_t r = 0;
  while (l < left.ids.size() || r < right.ids.size()) {
    const bool from_left =
        r == right.ids.size() || (l < left.ids.size() && left.ids[l] <= right.ids[r]);
    const bool from_right =
        l == left.ids.size() || (r < right.ids.size() && right.ids[r] <= left.ids[l]);
    sum.ids.push_back(from_left ? left.ids[l] : right.ids[r]);
    sum.values.resize(sum.values.size() + width);
    float* out = sum.values.data() + sum.values.size() - width;
    const float* a = left.values.data() + l * width;
    const float* b = right.values.data() + r * width;
    if (from_left && from_right) {
      for (size_t i = 0; i < width; ++i) out[i] = a[i] + b[i];
    } else if (from_left) {
      for (size_t i = 0; i < width; ++i) out[i] = a[i] + 0.0f;
    } else {
      for (size_t i = 0; i < width; ++i) out[i] = 0.0f + b[i];
    }
    l += from_left;
    r += from_right;
  }
  return sum;
}

SparseRows tree_all_reduce_rows(Communicator& group, SparseRows mine) {
  check_rows(mine);
  if (group.size() == 1) return mine;
  group.enter("tree_all_reduce_rows", "f32", mine.width, "");
  if (!std::has_single_bit(static_cast<unsigned>(group.size()))) {
    RowTreeAccumulator sum(mine.width);
    for (const Bytes& part : group.all_gather_v(pack(mine))) sum.push(unpack(part, mine.width));
    return sum.finish();
  }
  for (int distance = 1; distance < group.size(); distance *= 2) {
    const int peer = group.rank() ^ distance;
    const SparseRows theirs = unpack(exchange(group, peer, pack(mine)), mine.width);
    mine = peer > group.rank() ? merge_rows(mine, theirs) : merge_rows(theirs, mine);
  }
  return mine;
}

void RowTreeAccumulator::push(SparseRows rows, int level) {
  check(rows.width == width_, "[sparse_rows] rows of width {}. Expected {}.", rows.width, width_);
  check(
      level >= 0 && level < 62 && leaves_ % (int64_t{1} << level) == 0,
      "[sparse_rows] a subtree of 2^{} leaves at leaf {}. Expected its first leaf to be a multiple "
      "of its size.",
      level, leaves_);
  leaves_ += int64_t{1} << level;
  stack_.push_back({level, std::move(rows)});
  while (stack_.size() > 1 && stack_[stack_.size() - 2].level == stack_.back().level) merge_top();
}

void RowTreeAccumulator::merge_top() {
  const Subtree right = std::move(stack_.back());
  stack_.pop_back();
  stack_.back().rows = merge_rows(stack_.back().rows, right.rows);
  stack_.back().level += 1;
}

SparseRows RowTreeAccumulator::finish() {
  while (stack_.size() > 1) merge_top();
  SparseRows sum;
  sum.width = width_;
  if (!stack_.empty()) sum = std::move(stack_.front().rows);
  stack_.clear();
  leaves_ = 0;
  return sum;
}

}  // namespace heddle
