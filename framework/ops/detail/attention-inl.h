// The arithmetic of attention for one head of one sequence (attention.h), by blocks of queries
// whose scores stay in the first-level cache. Included once for each instruction set.
#if defined(HEDDLE_OPS_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HEDDLE_OPS_ATTENTION_INL_H_
#undef HEDDLE_OPS_ATTENTION_INL_H_
#else
#define HEDDLE_OPS_ATTENTION_INL_H_
#endif

#include <tuple>
#include <utility>

#include "framework/ops/detail/attention_unit.h"
#include "framework/ops/detail/philox-inl.h"
#include "framework/ops/detail/tiles-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

// Queries of a block: a multiple of 24 (whole tiles, and whole groups of 8 for dropout), as many as
// fit `floats` with a row of scores each. A function of the sequence's length alone.
HWY_INLINE int64_t block_rows(const AttentionUnit<float>& u, int64_t floats) {
  const int64_t fitting = floats / round_up(u.keys, lanes()) / 24 * 24;
  const int64_t rows = fitting < 24 ? 24 : fitting;
  return rows < u.queries ? rows : u.queries;
}

constexpr int64_t kForwardScores = 6144;   // floats: 24 KiB
constexpr int64_t kBackwardScores = 4096;  // of each of two

// B as it lies, where reading it in place is as good as a packed copy: few rows, whole vectors.
HWY_INLINE TileB rows_as_panels(const kernels::AttentionMatrix<float>& m, int64_t n, int64_t d,
                                float* room) {
  if (n <= 32 && d % lanes() == 0) return {m.data, m.stride, 2 * lanes()};
  return pack_rows(m.data, m.stride, n, d, room);
}

// Applies f(vector, mask of valid lanes) to the vectors of columns [0, n) of a row in scratch.
// Lanes are valid below n.
template <typename Body>
HWY_INLINE void for_columns(int64_t n, Body&& body) {
  const F d;
  const int64_t step = lanes();
  for (int64_t j = 0; j < n; j += step) {
    const int64_t count = n - j < step ? n - j : step;
    body(j, hn::FirstN(d, static_cast<size_t>(count)));
  }
}

// What is kept of a row: the greatest exponent, and 1 / the sum of the powers.
struct RowStatistics {
  float maximum, inverse;
};

// Scores of one row to powers of 2; returns the maximum and the sum. Columns [visible, width)
// become 0.
HWY_INLINE std::pair<float, float> softmax_row(const Exp2& exp2, float* row, int64_t visible,
                                               int64_t width, float scale) {
  const F d;
  const int64_t step = lanes();
  const int64_t whole = visible / step * step;
  const auto valid = hn::FirstN(d, static_cast<size_t>(visible - whole));
  const Vec lowest = hn::Set(d, -3.0e38f);
  Vec greatest = lowest;
  for (int64_t j = 0; j < whole; j += step) greatest = hn::Max(greatest, hn::Load(d, row + j));
  if (whole < visible) {
    greatest = hn::Max(greatest, hn::IfThenElse(valid, hn::Load(d, row + whole), lowest));
  }
  const float maximum = hn::GetLane(hn::MaxOfLanes(d, greatest)) * scale;
  const Vec c = hn::Set(d, scale);
  const Vec m = hn::Set(d, maximum);
  Vec sum = hn::Zero(d);
  for (int64_t j = 0; j < whole; j += step) {
    const Vec p = exp2(hn::MulSub(hn::Load(d, row + j), c, m));
    hn::Store(p, d, row + j);
    sum = hn::Add(sum, p);
  }
  int64_t done = whole;
  if (whole < visible) {
    const Vec p = exp2(hn::MulSub(hn::Load(d, row + whole), c, m));
    const Vec kept = hn::IfThenElseZero(valid, p);
    hn::Store(kept, d, row + whole);
    sum = hn::Add(sum, kept);
    done += step;
  }
  for (; done < width; done += step) hn::Store(hn::Zero(d), d, row + done);
  return {maximum, hn::GetLane(hn::SumOfLanes(d, sum))};
}

// The same powers from saved statistics, normalised.
HWY_INLINE void probabilities_row(const Exp2& exp2, float* row, int64_t visible, int64_t width,
                                  float scale, RowStatistics saved) {
  const F d;
  const int64_t step = lanes();
  const Vec c = hn::Set(d, scale);
  const Vec m = hn::Set(d, saved.maximum);
  const Vec inverse = hn::Set(d, saved.inverse);
  for_columns(visible, [&](int64_t j, Keep valid) HWY_ATTR {
    const Vec p = hn::Mul(exp2(hn::MulSub(hn::Load(d, row + j), c, m)), inverse);
    hn::Store(hn::IfThenElseZero(valid, p), d, row + j);
  });
  for (int64_t j = round_up(visible, step); j < width; j += step) {
    hn::Store(hn::Zero(d), d, row + j);
  }
}

// Calls body(row of the block, first column, keep) for all vectors of rows [begin, end) of the
// sequence by columns [0, n); begin is a multiple of 8.
template <typename Body>
HWY_INLINE void for_attention_mask(const DropoutMask& mask, int64_t begin, int64_t end, int64_t n,
                                   Body&& body) {
  const U d;
  const PhiloxKeys philox(mask.key);
  const int64_t key = mask.row_keys[0];
  const auto low = static_cast<uint32_t>(key);
  const auto high = static_cast<uint32_t>(static_cast<uint64_t>(key) >> 32);
  for (int64_t i = begin; i < end; i += 8) {
    for (int64_t j = 0; j < n; j += lanes()) {
      const auto counter = static_cast<uint32_t>(i / 8) << 16 | static_cast<uint32_t>(j);
      const PhiloxWords words = philox(low, high, mask.step, hn::Iota(d, counter));
      for (int64_t half = 0; half < 2; ++half) {
        for (int64_t w = 0; w < 4 && i + 4 * half + w < end; ++w) {
          body(i + 4 * half + w - begin, j, keep(words.word[w], half, mask.last_dropped));
        }
      }
    }
  }
}

HWY_INLINE int64_t forward_floats(const AttentionUnit<float>& u) {
  const int64_t rows = block_rows(u, kForwardScores);
  return panel_floats(u.head_dim, u.keys) + panel_floats(u.keys, u.head_dim) +
         rows * round_up(u.keys, lanes()) + 2 * round_up(rows, 16);
}

void attention_forward(const AttentionUnit<float>& u, float* scratch) {
  const F d;
  const Exp2 exp2;
  const int64_t rows = block_rows(u, kForwardScores);
  const int64_t stride = round_up(u.keys, lanes());
  const int64_t room = round_up(rows, 16);
  float* row_scale = scratch;
  float* scores = row_scale + 2 * room;
  float* key_panels = scores + rows * stride;
  float* value_panels = key_panels + panel_floats(u.head_dim, u.keys);
  const TileB k = pack_transposed(u.k.data, u.k.stride, u.keys, u.head_dim, key_panels);
  const TileB v = rows_as_panels(u.v, u.keys, u.head_dim, value_panels);

  for (int64_t begin = 0; begin < u.queries; begin += rows) {
    const int64_t end = begin + rows < u.queries ? begin + rows : u.queries;
    const int64_t count = end - begin;
    const int64_t keys = u.visible(end - 1);
    const int64_t width = round_up(keys, lanes());  // zero or masked beyond the keys
    product(count, width, u.head_dim, {u.q.data + begin * u.q.stride, u.q.stride, 1}, k,
            {scores, stride});
    float* maximum = row_scale + room;
    for (int64_t i = 0; i < count; ++i) {
      std::tie(maximum[i], row_scale[i]) =
          softmax_row(exp2, scores + i * stride, u.visible(begin + i), width, u.scale);
    }
    for (int64_t i = 0; i < count; i += lanes()) {
      hn::Store(hn::Div(hn::Set(d, 1.0f), hn::Load(d, row_scale + i)), d, row_scale + i);
    }
    for (int64_t i = 0; i < count && u.statistics; ++i) {
      float* to = u.statistics + (begin + i) * u.statistics_stride;
      to[0] = maximum[i];
      to[1] = row_scale[i];
    }
    if (u.mask.active()) {
      const Vec kept_scale = hn::Set(d, u.mask.scale);
      for (int64_t i = 0; i < count; i += lanes()) {
        hn::Store(hn::Mul(hn::Load(d, row_scale + i), kept_scale), d, row_scale + i);
      }
      for_attention_mask(u.mask, begin, end, keys, [&](int64_t i, int64_t j, Keep kept) HWY_ATTR {
        float* at = scores + i * stride + j;
        hn::Store(hn::IfThenElseZero(kept, hn::Load(d, at)), d, at);
      });
    }
    product(count, u.head_dim, keys, {scores, stride, 1}, v,
            {u.output.data + begin * u.output.stride, u.output.stride, false, row_scale});
  }
}

// One row: p holds probabilities, negated where they were dropped; dp the gradient of what entered
// the product. Makes of p what entered the product and of dp the gradient of the scores.
HWY_INLINE void softmax_backward_row(float* p, float* dp, int64_t width, float kept_scale,
                                     float derivative) {
  const F d;
  const int64_t step = lanes();
  const Vec zero = hn::Zero(d);
  const Vec scale = hn::Set(d, kept_scale);
  Vec sum = zero;
  for (int64_t j = 0; j < width; j += step) {
    const Vec kept = hn::Mul(hn::Max(zero, hn::Load(d, p + j)), scale);
    sum = hn::MulAdd(kept, hn::Load(d, dp + j), sum);
  }
  const Vec inner = hn::SumOfLanes(d, sum);
  const Vec factor = hn::Set(d, derivative);
  for (int64_t j = 0; j < width; j += step) {
    const Vec signed_p = hn::Load(d, p + j);
    const Vec probability = hn::Abs(signed_p);
    const Vec kept = hn::Mul(hn::Max(zero, signed_p), scale);
    // p (dp mask scale - inner), with p mask scale at hand.
    const Vec ds = hn::NegMulAdd(probability, inner, hn::Mul(kept, hn::Load(d, dp + j)));
    hn::Store(hn::Mul(ds, factor), d, dp + j);
    hn::Store(kept, d, p + j);
  }
}

HWY_INLINE int64_t backward_floats(const AttentionUnit<float>& u) {
  return 2 * panel_floats(u.head_dim, u.keys) + panel_floats(u.keys, u.head_dim) +
         2 * panel_floats(u.queries, u.head_dim) +
         2 * block_rows(u, kBackwardScores) * round_up(u.keys, lanes());
}

void attention_backward(const AttentionUnit<float>& u, float* scratch) {
  const F d;
  const Exp2 exp2;
  const int64_t rows = block_rows(u, kBackwardScores);
  const int64_t stride = round_up(u.keys, lanes());
  float* probabilities = scratch;
  float* gradients = probabilities + rows * stride;
  float* room = gradients + rows * stride;
  const auto next = [&](int64_t floats) {
    float* here = room;
    room += floats;
    return here;
  };
  const int64_t transposed = panel_floats(u.head_dim, u.keys);
  const int64_t query_rows = panel_floats(u.queries, u.head_dim);
  const TileB k_transposed =
      pack_transposed(u.k.data, u.k.stride, u.keys, u.head_dim, next(transposed));
  const TileB v_transposed =
      pack_transposed(u.v.data, u.v.stride, u.keys, u.head_dim, next(transposed));
  const TileB k = rows_as_panels(u.k, u.keys, u.head_dim, next(panel_floats(u.keys, u.head_dim)));
  const TileB q = rows_as_panels(u.q, u.queries, u.head_dim, next(query_rows));
  const TileB dy = rows_as_panels(u.output, u.queries, u.head_dim, next(query_rows));

  for (int64_t begin = 0; begin < u.queries; begin += rows) {
    const int64_t end = begin + rows < u.queries ? begin + rows : u.queries;
    const int64_t count = end - begin;
    const int64_t keys = u.visible(end - 1);
    const int64_t width = round_up(keys, lanes());
    product(count, width, u.head_dim, {u.q.data + begin * u.q.stride, u.q.stride, 1}, k_transposed,
            {probabilities, stride});
    product(count, width, u.head_dim, {u.output.data + begin * u.output.stride, u.output.stride, 1},
            v_transposed, {gradients, stride});
    for (int64_t i = 0; i < count; ++i) {
      const float* saved = u.statistics + (begin + i) * u.statistics_stride;
      probabilities_row(exp2, probabilities + i * stride, u.visible(begin + i), width, u.scale,
                        {saved[0], saved[1]});
    }
    if (u.mask.active()) {
      for_attention_mask(u.mask, begin, end, keys, [&](int64_t i, int64_t j, Keep kept) HWY_ATTR {
        float* at = probabilities + i * stride + j;
        const Vec p = hn::Load(d, at);
        hn::Store(hn::IfThenElse(kept, p, hn::Neg(p)), d, at);
      });
    }
    for (int64_t i = 0; i < count; ++i) {
      softmax_backward_row(probabilities + i * stride, gradients + i * stride, width, u.mask.scale,
                           u.derivative);
    }
    product(count, u.head_dim, keys, {gradients, stride, 1}, k,
            {u.dq.data + begin * u.dq.stride, u.dq.stride});
    // Keys that this block does not see get their first sums when a later block does.
    const bool more = begin > 0;
    const int64_t before = more ? u.visible(begin - 1) : 0;
    const auto of_keys = [&](const float* scores, const TileB& b,
                             const kernels::AttentionMatrix<float>& out) HWY_ATTR {
      const TileB here{b.data + begin * b.step, b.step, b.panel};
      const int64_t old = more ? before : keys;
      product(old, u.head_dim, count, {scores, 1, stride}, here, {out.data, out.stride, more});
      if (more && before < keys) {
        product(keys - before, u.head_dim, count, {scores + before, 1, stride}, here,
                {out.data + before * out.stride, out.stride});
      }
    };
    of_keys(probabilities, dy, u.dv);
    of_keys(gradients, q, u.dk);
  }
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HEDDLE_OPS_ATTENTION_INL_H_
