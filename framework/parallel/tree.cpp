#include "framework/parallel/tree.h"

#include <algorithm>
#include <array>
#include <bit>

#include "framework/core/error.h"
#include "framework/device/allocator.h"

namespace heddle {
namespace {

// Floats that are summed at a time: the partial sums of a deep tree stay in the first-level cache.
constexpr size_t kBlock = 512;

// The left subtree's share of `count` leaves, count > 1.
size_t left_of(size_t count) {
  return std::bit_ceil(count) / 2;
}

void add(const float* left, const float* right, float* out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = left[i] + right[i];
}

void add_to_both(float* __restrict left, float* __restrict right, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const float sum = left[i] + right[i];
    left[i] = sum;
    right[i] = sum;
  }
}

// The tree over parts[...][begin, begin + count) into out; count <= kBlock.
void sum_block(std::span<const float* const> parts, size_t begin, float* out, size_t count) {
  const auto at = [&](size_t part) { return parts[part] + begin; };
  switch (parts.size()) {
    case 1:
      std::copy_n(at(0), count, out);
      return;
    case 2:
      add(at(0), at(1), out, count);
      return;
    case 4: {
      const float *a = at(0), *b = at(1), *c = at(2), *d = at(3);
      for (size_t i = 0; i < count; ++i) out[i] = (a[i] + b[i]) + (c[i] + d[i]);
      return;
    }
    default: {
      const size_t cut = left_of(parts.size());
      alignas(64) std::array<float, kBlock> left;
      alignas(64) std::array<float, kBlock> right;
      sum_block(parts.first(cut), begin, left.data(), count);
      sum_block(parts.subspan(cut), begin, right.data(), count);
      add(left.data(), right.data(), out, count);
    }
  }
}

}  // namespace

void tree_add(std::span<const float> left, std::span<const float> right, std::span<float> out) {
  check(left.size() == out.size() && right.size() == out.size(),
        "[tree_add] {} + {} floats into {}. Expected equal sizes.", left.size(), right.size(),
        out.size());
  add(left.data(), right.data(), out.data(), out.size());
}

void tree_sum(std::span<const float* const> parts, std::span<float> out) {
  check(!parts.empty(), "[tree_sum] no parts.");
  for (size_t begin = 0; begin < out.size(); begin += kBlock) {
    sum_block(parts, begin, out.data() + begin, std::min(kBlock, out.size() - begin));
  }
}

void tree_sum_to_all(std::span<float* const> parts, size_t count) {
  check(!parts.empty(), "[tree_sum] no parts.");
  if (parts.size() == 2) return add_to_both(parts[0], parts[1], count);
  const std::vector<const float*> inputs(parts.begin(), parts.end());
  alignas(64) std::array<float, kBlock> sum;
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t length = std::min(kBlock, count - begin);
    sum_block(inputs, begin, sum.data(), length);
    for (float* part : parts) std::copy_n(sum.data(), length, part + begin);
  }
}

double tree_sum(std::span<const double> values) {
  if (values.empty()) return 0;
  if (values.size() == 1) return values[0];
  const size_t cut = left_of(values.size());
  return tree_sum(values.first(cut)) + tree_sum(values.subspan(cut));
}

std::span<float> TreeAccumulator::buffer(size_t depth) {
  if (depth == 0) return result_;
  if (spare_.size() < depth) spare_.resize(depth);
  std::shared_ptr<std::byte>& spare = spare_[depth - 1];
  if (!spare) spare = allocate(static_cast<int64_t>(result_.size_bytes()));
  return {reinterpret_cast<float*>(spare.get()), result_.size()};
}

std::span<float> TreeAccumulator::next() {
  return buffer(levels_.size());
}

void TreeAccumulator::push(int level) {
  check(
      level >= 0 && level < 62 && leaves_ % (int64_t{1} << level) == 0,
      "[tree] a subtree of 2^{} leaves at leaf {}. Expected its first leaf to be a multiple of its "
      "size.",
      level, leaves_);
  leaves_ += int64_t{1} << level;
  levels_.push_back(level);
  while (levels_.size() > 1 && levels_[levels_.size() - 2] == levels_.back()) merge_top();
}

void TreeAccumulator::merge_top() {
  const size_t top = levels_.size() - 1;
  const std::span<float> left = buffer(top - 1);
  tree_add(left, buffer(top), left);
  levels_.pop_back();
  levels_.back() += 1;
}

void TreeAccumulator::finish() {
  if (levels_.empty()) std::fill(result_.begin(), result_.end(), 0.0f);
  while (levels_.size() > 1) merge_top();
  levels_.clear();
  leaves_ = 0;
}

}  // namespace heddle
