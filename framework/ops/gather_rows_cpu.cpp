#include <algorithm>

#include "framework/ops/detail/parallel_rows.h"
#include "framework/ops/gather_rows.h"

namespace heddle::kernels {
namespace {

int64_t taken_row(const Segments& segments, int64_t s, Pooling pooling) {
  return pooling == Pooling::kFirst ? segments.begin(s) : segments.end(s) - 1;
}

int64_t mean_length(const Segments& segments) {
  return segments.rows() / std::max<int64_t>(segments.count(), 1) + 1;
}

}  // namespace

void gather_rows(Cpu on, const Tensor& x, const Segments& segments, Pooling pooling, Tensor& y) {
  const int64_t width = x.dim(1);
  const auto one = [&](int64_t s) {
    float* to = y.data<float>() + s * width;
    const float* from = x.data<float>();
    if (pooling != Pooling::kMean) {
      std::copy_n(from + taken_row(segments, s, pooling) * width, width, to);
      return;
    }
    std::fill_n(to, width, 0.0f);
    for (int64_t row = segments.begin(s); row < segments.end(s); ++row) {
      for (int64_t c = 0; c < width; ++c) to[c] += from[row * width + c];
    }
    const float inverse = 1.0f / static_cast<float>(segments.length(s));
    for (int64_t c = 0; c < width; ++c) to[c] *= inverse;
  };
  const int64_t cost = pooling == Pooling::kMean ? width * mean_length(segments) : width;
  parallel_rows(on, segments.count(), cost, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) one(s);
  });
}

void gather_rows_backward(Cpu on, const Tensor& dy, const Segments& segments, Pooling pooling,
                          Tensor& dx) {
  const int64_t width = dy.dim(1);
  const auto one = [&](int64_t s) {
    const float* from = dy.data<float>() + s * width;
    float* to = dx.data<float>();
    if (pooling == Pooling::kMean) {
      const float inverse = 1.0f / static_cast<float>(segments.length(s));
      for (int64_t row = segments.begin(s); row < segments.end(s); ++row) {
        for (int64_t c = 0; c < width; ++c) to[row * width + c] = from[c] * inverse;
      }
      return;
    }
    std::fill(to + segments.begin(s) * width, to + segments.end(s) * width, 0.0f);
    std::copy_n(from, width, to + taken_row(segments, s, pooling) * width);
  };
  parallel_rows(on, segments.count(), width * mean_length(segments),
                [&](int64_t begin, int64_t end) {
                  for (int64_t s = begin; s < end; ++s) one(s);
                });
}

}  // namespace heddle::kernels
