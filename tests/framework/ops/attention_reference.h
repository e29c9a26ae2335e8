// Shapes that attention is tested with, and the plain double-precision loops it is compared with.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "framework/ops/attention.h"
#include "tests/support/tensors.h"

namespace heddle {

inline Segments segments_of(const std::vector<int64_t>& lengths,
                            const Device& device = Device::cpu()) {
  std::vector<int32_t> offsets = {0};
  for (const int64_t n : lengths) offsets.push_back(offsets.back() + static_cast<int32_t>(n));
  return Segments::from(offsets, device);
}

inline Tensor random_qkv(const std::vector<int64_t>& lengths, int heads, int64_t head_dim) {
  return random_tensor({segments_of(lengths).rows(), 3 * heads * head_dim}, "qkv", -2, 2);
}

// The probability's factor: 0 or 1 / (1 - p), from the definition in the header.
inline double mask_of(const AttentionOptions& o, int64_t first_row, int64_t head, int64_t i,
                      int64_t j) {
  if (!o.dropout.active()) return 1;
  const auto layer = static_cast<uint32_t>(o.dropout.layer);
  const PhiloxKey key =
      philox_key(o.dropout.seed, RandomPurpose::kAttentionDropout,
                 uint64_t{layer} << 32 | static_cast<uint32_t>(o.first_head + head));
  const auto row_key = static_cast<uint64_t>(o.dropout.row_keys.data<int64_t>()[first_row]);
  const PhiloxBlock words =
      philox({static_cast<uint32_t>(row_key), static_cast<uint32_t>(row_key >> 32),
              static_cast<uint32_t>(o.dropout.step), static_cast<uint32_t>(i / 8 << 16 | j)},
             key);
  const uint32_t word = words[static_cast<size_t>(i % 4)];
  const auto bits = static_cast<int16_t>(i % 8 < 4 ? word >> 16 : word & 0xffff);
  const long dropped = std::lround(o.dropout.p * 65536);
  return bits + 32768 >= dropped ? 65536.0 / static_cast<double>(65536 - dropped) : 0.0;
}

inline std::vector<double> attention_oracle(const Tensor& qkv, const Segments& segments,
                                            const AttentionOptions& o) {
  const int64_t width = qkv.dim(1) / 3;
  const int64_t d = width / o.heads;
  std::vector<double> y(static_cast<size_t>(qkv.dim(0) * width), 0.0);
  const auto at = [&](int64_t row, int64_t part, int64_t head, int64_t c) {
    return static_cast<double>(qkv.data<float>()[row * 3 * width + part * width + head * d + c]);
  };
  for (int64_t s = 0; s < segments.count(); ++s) {
    const int64_t first = segments.begin(s);
    const int64_t n = segments.length(s);
    for (int64_t head = 0; head < o.heads; ++head) {
      for (int64_t i = 0; i < n; ++i) {
        const int64_t keys = o.causal ? i + 1 : n;
        std::vector<double> p(static_cast<size_t>(keys));
        double sum = 0;
        for (int64_t j = 0; j < keys; ++j) {
          double dot = 0;
          for (int64_t c = 0; c < d; ++c)
            dot += at(first + i, 0, head, c) * at(first + j, 1, head, c);
          sum += p[static_cast<size_t>(j)] = std::exp(dot * o.scale);
        }
        for (int64_t j = 0; j < keys; ++j) {
          const double weight = p[static_cast<size_t>(j)] / sum * mask_of(o, first, head, i, j);
          for (int64_t c = 0; c < d; ++c) {
            y[static_cast<size_t>((first + i) * width + head * d + c)] +=
                weight * at(first + j, 2, head, c);
          }
        }
      }
    }
  }
  return y;
}

struct AttentionCase {
  std::vector<int64_t> lengths;
  int heads;
  int64_t head_dim;
  bool causal;
  float p;
};

inline AttentionOptions options_of(const AttentionCase& c) {
  AttentionOptions o{.heads = c.heads,
                     .scale = 1 / std::sqrt(static_cast<float>(c.head_dim)),
                     .causal = c.causal,
                     .first_head = 3};
  o.dropout = {.p = c.p, .seed = 5, .step = 9, .layer = 2, .row_keys = row_keys(c.lengths, 70)};
  return o;
}

}  // namespace heddle
