#include <algorithm>
#include <vector>

#include "framework/parallel/parts.h"
#include "framework/parallel/tree.h"

namespace heddle::kernels {
namespace {

constexpr int64_t kElements = 16384;  // of a task

}  // namespace

void sum_parts(Cpu on, std::span<const Tensor> parts, const Tensor& y) {
  const int64_t n = y.numel();
  on.parallel_for((n + kElements - 1) / kElements, [&](int64_t task) {
    const int64_t first = task * kElements;
    const auto count = static_cast<size_t>(std::min(kElements, n - first));
    std::vector<const float*> from;
    for (const Tensor& part : parts) from.push_back(part.data<float>() + first);
    tree_sum(from, {y.data<float>() + first, count});
  });
}

void add_bias(Cpu on, const Tensor& bias, const Tensor& y) {
  const int64_t width = bias.numel();
  const int64_t rows = y.dim(0);
  const int64_t rows_of_task = std::max<int64_t>(1, kElements / width);
  on.parallel_for((rows + rows_of_task - 1) / rows_of_task, [&](int64_t task) {
    const int64_t end = std::min(rows, (task + 1) * rows_of_task);
    const float* b = bias.data<float>();
    for (int64_t r = task * rows_of_task; r < end; ++r) {
      float* row = y.data<float>() + r * width;
      for (int64_t i = 0; i < width; ++i) row[i] += b[i];
    }
  });
}

}  // namespace heddle::kernels
