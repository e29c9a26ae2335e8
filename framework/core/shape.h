// The extents of a tensor, up to five of them.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "framework/core/error.h"

namespace heddle {

class Shape {
 public:
  static constexpr int kMaxDims = 5;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims) {
    check(dims.size() <= kMaxDims, "[shape] {} dimensions. Expected at most {}.", dims.size(),
          kMaxDims);
    for (int64_t d : dims) {
      check(d >= 0, "[shape] dimension {}. Expected 0 or more.", d);
      dims_[ndim_++] = d;
    }
  }

  int ndim() const { return ndim_; }
  int64_t numel() const {
    int64_t n = 1;
    for (int64_t d : *this) n *= d;
    return n;
  }
  // Negative indices count from the end.
  int64_t operator[](int i) const {
    const int at = i < 0 ? i + ndim_ : i;
    check(at >= 0 && at < ndim_, "[shape] dimension {} of a shape with {}.", i, ndim_);
    return dims_[at];
  }
  const int64_t* begin() const { return dims_.data(); }
  const int64_t* end() const { return dims_.data() + ndim_; }
  bool operator==(const Shape& other) const {
    return std::span(begin(), end()).size() == std::span(other.begin(), other.end()).size() &&
           std::equal(begin(), end(), other.begin());
  }

 private:
  std::array<int64_t, kMaxDims> dims_{};
  int ndim_ = 0;
};

inline std::string to_string(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape.begin(), shape.end(), ", "));
}

}  // namespace heddle

template <>
struct fmt::formatter<heddle::Shape> : fmt::formatter<std::string> {
  auto format(const heddle::Shape& shape, fmt::format_context& context) const {
    return fmt::formatter<std::string>::format(heddle::to_string(shape), context);
  }
};

template <>
struct fmt::is_range<heddle::Shape, char> : std::false_type {};
