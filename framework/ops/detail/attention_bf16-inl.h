// Attention in bf16 on any processor: by the arithmetic of f32 on widened copies, and where tiles
// of bf16 are to be had, on those (attention_amx-inl.h). Included once for each instruction set.
#if defined(HEDDLE_OPS_ATTENTION_BF16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HEDDLE_OPS_ATTENTION_BF16_INL_H_
#undef HEDDLE_OPS_ATTENTION_BF16_INL_H_
#else
#define HEDDLE_OPS_ATTENTION_BF16_INL_H_
#endif

#include "framework/ops/detail/attention-inl.h"
#include "framework/ops/detail/scratch_parts.h"
#if HWY_TARGET == HWY_AVX3
#include "framework/ops/detail/attention_amx_backward-inl.h"
#endif

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

// Rows [n, d] to another type, rounded where that has fewer bits.
template <typename From, typename To>
HWY_INLINE void convert_rows(const kernels::AttentionMatrix<From>& from, int64_t n, int64_t d,
                             const kernels::AttentionMatrix<To>& to) {
  for (int64_t i = 0; i < n; ++i) {
    const From* x = from.data + i * from.stride;
    To* y = to.data + i * to.stride;
    for_vectors(d, [=](int64_t, auto load, auto store) HWY_ATTR { store(load(x), y); });
  }
}

// A unit's copy in f32, in scratch: inputs are filled in, results are not.
struct WideUnit {
  WideUnit(const AttentionUnit<BFloat16>& u, bool backward, float* block) : parts(block) {
    const auto widened = [&](const kernels::AttentionMatrix<BFloat16>& from, int64_t rows) {
      const kernels::AttentionMatrix<float> copy = result(rows, u.head_dim);
      if (block != nullptr) convert_rows(from, rows, u.head_dim, copy);
      return copy;
    };
    unit.queries = u.queries;
    unit.keys = u.keys;
    unit.head_dim = u.head_dim;
    unit.scale = u.scale;
    unit.derivative = u.derivative;
    unit.causal = u.causal;
    unit.statistics = u.statistics;
    unit.statistics_stride = u.statistics_stride;
    unit.mask = u.mask;
    unit.q = widened(u.q, u.queries);
    unit.k = widened(u.k, u.keys);
    unit.v = widened(u.v, u.keys);
    if (backward) {
      unit.output = widened(u.output, u.queries);
      unit.dq = result(u.queries, u.head_dim);
      unit.dk = result(u.keys, u.head_dim);
      unit.dv = result(u.keys, u.head_dim);
    } else {
      unit.output = result(u.queries, u.head_dim);
    }
    rest = parts.take<float>(backward ? backward_floats(unit) : forward_floats(unit));
  }

  kernels::AttentionMatrix<float> result(int64_t rows, int64_t d) {
    return {parts.take<float>(rows * d), d};
  }

  ScratchParts parts;
  AttentionUnit<float> unit{};
  float* rest;
};

// True if units are computed on AMX's tiles: then an AmxTiles must be alive.
inline bool attention_on_tiles([[maybe_unused]] int64_t head_dim) {
#if HWY_TARGET == HWY_AVX3
  return head_dim % kAmxDepth == 0 && amx_available();
#else
  return false;
#endif
}

int64_t attention_bf16_scratch(const AttentionUnit<BFloat16>& u, bool backward) {
#if HWY_TARGET == HWY_AVX3
  if (attention_on_tiles(u.head_dim)) {
    return backward ? AmxBackwardRoom(u, nullptr).parts.floats()
                    : AmxForwardRoom(u, nullptr).parts.floats();
  }
#endif
  return WideUnit(u, backward, nullptr).parts.floats();
}

void attention_bf16_forward(AttentionUnit<BFloat16> u, int64_t heads, float* scratch) {
#if HWY_TARGET == HWY_AVX3
  if (attention_on_tiles(u.head_dim)) return amx_attention_forward(u, heads, scratch);
#endif
  for (; heads > 0; --heads, u.next_head()) {
    const WideUnit wide(u, false, scratch);
    attention_forward(wide.unit, wide.rest);
    convert_rows(wide.unit.output, u.queries, u.head_dim, u.output);
  }
}

void attention_bf16_backward(AttentionUnit<BFloat16> u, int64_t heads, float* scratch) {
#if HWY_TARGET == HWY_AVX3
  if (attention_on_tiles(u.head_dim)) return amx_attention_backward(u, heads, scratch);
#endif
  for (; heads > 0; --heads, u.next_head()) {
    const WideUnit wide(u, true, scratch);
    attention_backward(wide.unit, wide.rest);
    convert_rows(wide.unit.dq, u.queries, u.head_dim, u.dq);
    convert_rows(wide.unit.dk, u.keys, u.head_dim, u.dk);
    convert_rows(wide.unit.dv, u.keys, u.head_dim, u.dv);
  }
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HEDDLE_OPS_ATTENTION_BF16_INL_H_
