#include "framework/ops/detail/leaf_tree.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace heddle {
namespace {

std::string tree_of(int64_t count) {
  std::vector<std::string> parts;
  for (int64_t i = 0; i < count; ++i) parts.push_back(std::to_string(i));
  merge_leaves(count, [&](int64_t into, int64_t from) {
    parts[static_cast<size_t>(into)] =
        "(" + parts[static_cast<size_t>(into)] + "+" + parts[static_cast<size_t>(from)] + ")";
  });
  return parts[0];
}

TEST(LeafTree, IsTheOneThatIsPromised) {
  EXPECT_EQ(tree_of(1), "0");
  EXPECT_EQ(tree_of(3), "((0+1)+2)");
  EXPECT_EQ(tree_of(5), "(((0+1)+(2+3))+4)");
  EXPECT_EQ(tree_of(8), "(((0+1)+(2+3))+((4+5)+(6+7)))");
}

}  // namespace
}  // namespace heddle
