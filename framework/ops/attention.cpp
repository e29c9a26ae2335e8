#include "framework/ops/attention.h"

#include <utility>

#include "framework/device/profile.h"
#include "framework/ops/detail/bytes_of.h"
#include "framework/ops/detail/element_type.h"

namespace heddle {
namespace {

using kernels::AttentionInputs;
using kernels::AttentionMatrix;
using kernels::AttentionShape;

// q, k and v (or their gradients) beside one another in [T, 3 * width].
template <typename T>
AttentionInputs<T> parts_of(const Tensor& qkv) {
  const int64_t width = qkv.dim(1) / 3;
  const auto part = [&](int64_t i) {
    return AttentionMatrix<T>{qkv.data<T>() + i * width, qkv.dim(1)};
  };
  return {part(0), part(1), part(2)};
}

void check_attention(const Tensor& qkv, const Segments& segments, const AttentionOptions& options) {
  check(options.heads > 0 && qkv.ndim() == 2 && qkv.dim(1) % (3 * options.heads) == 0,
        "[attention] qkv has shape {}, with {} heads. Expected [T, 3 * heads * head_dim].",
        qkv.shape(), options.heads);
  check(qkv.dtype() == DType::kF32 || qkv.dtype() == DType::kBF16,
        "[attention] qkv is {}. Expected f32 or bf16.", name_of(qkv.dtype()));
  check(segments.rows() == qkv.dim(0),
        "[attention] the segments have {} rows, qkv {}. Expected equal numbers.", segments.rows(),
        qkv.dim(0));
  check(options.scale > 0, "[attention] scale {}. Expected more than 0.", options.scale);
  check_dropout(options.dropout, qkv.dim(0), "attention");
  check(!options.dropout.active() || segments.max_length() <= 65536,
        "[attention] a segment of {} rows with dropout. Expected at most 65536.",
        segments.max_length());
}

// So many products of queries by keys, for all heads.
void count_products(const Tensor& qkv, const Segments& segments, double products,
                    double moved_bytes) {
  if (!counts_work()) return;
  double pairs = 0;
  for (int64_t s = 0; s < segments.count(); ++s) {
    pairs += static_cast<double>(segments.length(s)) * static_cast<double>(segments.length(s));
  }
  count_work({.attention_flops = 2 * products * pairs * static_cast<double>(qkv.dim(1)) / 3,
              .moved_bytes = moved_bytes});
}

}  // namespace

Tensor attention(const Tensor& qkv, const Segments& segments, const AttentionOptions& options) {
  check_attention(qkv, segments, options);
  const ProfiledSpan span("attention", name_of(qkv.dtype()));
  const int64_t width = qkv.dim(1) / 3;
  const int64_t head_dim = width / options.heads;
  Tensor y = Tensor::empty({qkv.dim(0), width}, qkv.dtype(), qkv.device());
  Tensor statistics;
  if (needs_gradient({qkv})) {
    statistics = Tensor::empty({qkv.dim(0), options.heads, 2}, DType::kF32, qkv.device());
  }
  on_device(qkv.device(), [&](auto on) {
    with_type(qkv.dtype(), [&]<typename T>(T) {
      kernels::attention<T>(on, AttentionShape{segments, segments, head_dim, options},
                            parts_of<T>(qkv), {y.data<T>(), width},
                            statistics.defined() ? statistics.data<float>() : nullptr);
    });
  });
  count_products(qkv, segments, 2, bytes_of(qkv, y, statistics));
  return record(
      y, {qkv}, [qkv = qkv.detach(), segments, options, statistics, head_dim](const Tensor& dy) {
        const ProfiledSpan span("attention", name_of(qkv.dtype()));
        Tensor dqkv = Tensor::empty_like(qkv);
        on_device(dy.device(), [&](auto on) {
          with_type(qkv.dtype(), [&]<typename T>(T) {
            const auto [dq, dk, dv] = parts_of<T>(dqkv);
            kernels::attention_backward<T>(
                on, AttentionShape{segments, segments, head_dim, options}, parts_of<T>(qkv),
                statistics.data<float>(), {dy.data<T>(), dy.dim(1)}, {dq, dk, dv});
          });
        });
        count_products(qkv, segments, 5, bytes_of(qkv, statistics, dy, dqkv));
        return Gradients{dqkv};
      });
}

}  // namespace heddle
