// Leaves whose sum depends on the order, and the tree written down as plainly as can be.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace heddle {

// Of very different sizes and both signs, so that another order gives other bits.
inline std::vector<float> leaf_values(int leaf, size_t count) {
  std::mt19937 random(static_cast<unsigned>(leaf) + 1);
  std::vector<float> values(count);
  for (float& v : values) {
    const float fraction = static_cast<float>(random()) * 0x1p-32f - 0.5f;
    v = fraction * static_cast<float>(1u << (random() % 20));
  }
  return values;
}

// Element i of the tree over leaves [first, first + count), count a power of two.
inline float plain_tree(const std::vector<std::vector<float>>& leaves, size_t first, size_t count,
                        size_t i) {
  if (count == 1) return leaves[first][i];
  const float left = plain_tree(leaves, first, count / 2, i);
  const float right = plain_tree(leaves, first + count / 2, count / 2, i);
  return left + right;
}

inline std::vector<float> plain_tree(const std::vector<std::vector<float>>& leaves, size_t first,
                                     size_t count) {
  std::vector<float> sum(leaves[first].size());
  for (size_t i = 0; i < sum.size(); ++i) sum[i] = plain_tree(leaves, first, count, i);
  return sum;
}

inline std::vector<std::vector<float>> make_leaves(int leaves, size_t count) {
  std::vector<std::vector<float>> all;
  for (int leaf = 0; leaf < leaves; ++leaf) all.push_back(leaf_values(leaf, count));
  return all;
}

}  // namespace heddle
