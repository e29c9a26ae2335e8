#include <algorithm>

#include "framework/parallel/vocab_embedding.h"

namespace heddle::kernels {

void embedding_part(Cpu on, const Tensor& part, int64_t begin, const Tensor& ids, const Tensor& y) {
  constexpr int64_t kTokens = 64;  // of a task
  const int64_t tokens = ids.numel();
  const int64_t width = part.dim(1);
  on.parallel_for((tokens + kTokens - 1) / kTokens, [&](int64_t task) {
    const int64_t end = std::min(tokens, (task + 1) * kTokens);
    for (int64_t t = task * kTokens; t < end; ++t) {
      const int64_t row = ids.data<int32_t>()[t] - begin;
      if (row < 0 || row >= part.dim(0)) continue;
      std::copy_n(part.data<float>() + row * width, width, y.data<float>() + t * width);
    }
  });
}

}  // namespace heddle::kernels
