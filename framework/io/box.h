// Boxes: the part of a tensor that one rank holds or wants, and how parts meet.
//
//   Box mine{{128, 0}, {128, 384}};                         // rows 128..255 of [384, 384]
//   std::optional<Box> common = intersection(mine, stored);
//   for_each_run(stored, mine, *common, [&](BoxRun run) { ... });
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace heddle {

// An axis-parallel part of a tensor: where it begins and how far it goes, one number an axis. Its
// elements lie in row-major order. A scalar is the box without axes.
struct Box {
  std::vector<int64_t> begin, extent;

  int64_t volume() const;  // elements
  bool operator==(const Box&) const = default;
};

// Product of the extents. Throws std::overflow_error if it does not fit.
int64_t volume(std::span<const int64_t> extent);

// The whole tensor.
Box whole(std::span<const int64_t> shape);

// Whether `box` has the axes of `shape` and lies inside.
bool is_inside(const Box& box, std::span<const int64_t> shape);

// What is in both; nothing if they share no element.
std::optional<Box> intersection(const Box& a, const Box& b);

// What is wrong if `boxes` do not cover every element of `shape` exactly once ("overlap at [0,
// 4]"), else "".
std::string tiling_fault(std::span<const int64_t> shape, std::span<const Box> boxes);

// `count` elements that lie together in the source box (from `source`) and in the target box.
struct BoxRun {
  int64_t source, target, count;
};

// Calls `visit` for the runs that `part`, inside both boxes, consists of, in ascending order.
void for_each_run(const Box& source, const Box& target, const Box& part,
                  const std::function<void(BoxRun)>& visit);

// "[0:128, 0:384]"; "[]" for a scalar.
std::string to_string(const Box& box);

}  // namespace heddle
