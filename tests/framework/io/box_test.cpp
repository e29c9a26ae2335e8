#include "framework/io/box.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "tests/framework/io/scratch.h"

namespace heddle {
namespace {

TEST(Box, VolumeAndText) {
  EXPECT_EQ((Box{{0, 4}, {2, 3}}).volume(), 6);
  EXPECT_EQ(Box{}.volume(), 1);
  EXPECT_EQ(to_string(Box{{128, 0}, {128, 384}}), "[128:256, 0:384]");
  EXPECT_EQ(to_string(Box{}), "[]");
  EXPECT_EQ(whole(std::vector<int64_t>{2, 3}), (Box{{0, 0}, {2, 3}}));
  EXPECT_TRUE(has(error_text([] {
                    volume(std::vector<int64_t>{int64_t{1} << 40, int64_t{1} << 40});
                  }),
                  "has too many elements"));
}

TEST(Box, IsInsideChecksEveryAxis) {
  const std::vector<int64_t> shape{4, 6};
  EXPECT_TRUE(is_inside({{0, 0}, {4, 6}}, shape));
  EXPECT_TRUE(is_inside({{4, 6}, {0, 0}}, shape));
  EXPECT_FALSE(is_inside({{1, 0}, {4, 6}}, shape));
  EXPECT_FALSE(is_inside({{-1, 0}, {2, 6}}, shape));
  EXPECT_FALSE(is_inside({{0, 0}, {4, -1}}, shape));
  EXPECT_FALSE(is_inside({{0}, {4}}, shape));
  EXPECT_FALSE(is_inside({{int64_t{1} << 62, 0}, {int64_t{1} << 62, 6}}, shape));
}

TEST(Box, IntersectionIsTheCommonPart) {
  EXPECT_EQ(intersection({{0, 0}, {2, 4}}, {{1, 2}, {4, 4}}), (Box{{1, 2}, {1, 2}}));
  EXPECT_EQ(intersection({{0, 0}, {2, 4}}, {{2, 0}, {2, 4}}), std::nullopt);
  EXPECT_EQ(intersection({}, {}), Box{});
}

TEST(Box, TilingFindsHoleOverlapAndOutside) {
  const std::vector<int64_t> shape{4, 6};
  const auto fault = [&](std::vector<Box> boxes) { return tiling_fault(shape, boxes); };
  EXPECT_EQ(fault({{{2, 0}, {2, 6}}, {{0, 0}, {2, 2}}, {{0, 2}, {2, 4}}}), "");
  EXPECT_EQ(fault({{{0, 0}, {4, 5}}}), "hole: 20 of 24 elements");
  EXPECT_EQ(fault({{{0, 0}, {3, 6}}, {{2, 0}, {1, 6}}}), "overlap at [2:3, 0:6]");
  EXPECT_EQ(fault({{{0, 0}, {5, 6}}}), "[0:5, 0:6] is not inside [4, 6]");
  EXPECT_EQ(fault({}), "hole: 0 of 24 elements");
  EXPECT_EQ(tiling_fault({}, std::vector<Box>{Box{}}), "");
  EXPECT_EQ(tiling_fault({}, std::vector<Box>{Box{}, Box{}}), "overlap at []");
  EXPECT_EQ(tiling_fault(std::vector<int64_t>{0, 3}, {}), "");
}

// Copies by runs and compares with a copy element by element.
TEST(Box, RunsCopyWhatElementsCopy) {
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    const size_t axes = random() % 5;
    Box source, target;
    std::vector<int64_t> shape;
    for (size_t axis = 0; axis < axes; ++axis) {
      shape.push_back(1 + static_cast<int64_t>(random() % 5));
      for (Box* box : {&source, &target}) {
        const int64_t begin = random() % 3 == 0 ? static_cast<int64_t>(random()) % shape.back() : 0;
        box->begin.push_back(begin);
        box->extent.push_back(1 + static_cast<int64_t>(random()) % (shape.back() - begin));
      }
    }
    const std::optional<Box> part = intersection(source, target);
    if (!part) continue;
    // Every element of the tensor is its own flat index.
    const auto values = [&](const Box& box) {
      std::vector<int64_t> result;
      for (int64_t i = 0; i < volume(shape); ++i) {
        Box one = whole(shape);
        int64_t rest = i;
        for (size_t axis = axes; axis-- > 0; rest /= shape[axis]) {
          one.begin[axis] = rest % shape[axis];
          one.extent[axis] = 1;
        }
        if (intersection(box, one)) result.push_back(i);
      }
      return result;
    };
    const std::vector<int64_t> from = values(source);
    std::vector<int64_t> to(static_cast<size_t>(target.volume()), -1);
    int64_t reached = 0;
    for_each_run(source, target, *part, [&](BoxRun run) {
      EXPECT_GE(run.source, reached);
      reached = run.source + run.count;
      std::copy_n(from.begin() + run.source, run.count, to.begin() + run.target);
    });
    const std::vector<int64_t> wanted = values(target);
    for (size_t i = 0; i < to.size(); ++i) {
      const bool common = std::binary_search(from.begin(), from.end(), wanted[i]);
      EXPECT_EQ(to[i], common ? wanted[i] : -1);
    }
  }
}

TEST(Box, FullPartIsOneRun) {
  int runs = 0;
  for_each_run({{2, 0}, {2, 6}}, {{0, 0}, {4, 6}}, {{2, 0}, {2, 6}}, [&](BoxRun run) {
    ++runs;
    EXPECT_EQ(run.source, 0);
    EXPECT_EQ(run.target, 12);
    EXPECT_EQ(run.count, 12);
  });
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace heddle
