// The arithmetic of attention in bf16 for one head of one sequence, on AMX's tiles (amx.h), the
// softmax in AVX-512 between them. head_dim is a multiple of 32. Included where HWY_TARGET is
// HWY_AVX3, to be called where amx_available().
#if defined(HEDDLE_OPS_ATTENTION_AMX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HEDDLE_OPS_ATTENTION_AMX_INL_H_
#undef HEDDLE_OPS_ATTENTION_AMX_INL_H_
#else
#define HEDDLE_OPS_ATTENTION_AMX_INL_H_
#endif

#include <cmath>

#include "framework/ops/detail/amx_panels-inl.h"
#include "framework/ops/detail/amx_tiles-inl.h"
#include "framework/ops/detail/attention-inl.h"
#include "framework/ops/detail/scratch_parts.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

using Bf16Unit = AttentionUnit<BFloat16>;

HWY_INLINE Bf16Rows rows_of(const kernels::AttentionMatrix<BFloat16>& m, int64_t first = 0) {
  return {m.data + first * m.stride, m.stride};
}

// 2^x for x <= 127, relative error 1.2e-4: a thirtieth of bf16's. 2^0 is 1.
HWY_INLINE __m512 coarse_exp2(__m512 x) {
  constexpr int kFraction = 0x09;  // what is above the next lower integer
  const __m512 f = _mm512_reduce_ps(x, kFraction);
  __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(0.07760864257f), f, _mm512_set1_ps(0.22733764648f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.69505371094f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, x);
}

// The first n of 16 lanes; none if n < 0.
HWY_INLINE __mmask16 first_lanes(int64_t n) {
  return static_cast<__mmask16>(_bzhi_u32(0xffffu, n < 0 ? 0u : static_cast<uint32_t>(n)));
}

// Queries of a block: whole tiles, as many as fit 16 KiB with their scores, at least two tiles. A
// function of the sequence's length alone.
HWY_INLINE int64_t amx_block_rows(const Bf16Unit& u) {
  constexpr int64_t kScores = 4096;
  const int64_t fitting = kScores / round_up(u.keys, kAmxDepth) / kAmxRows * kAmxRows;
  const int64_t rows = fitting < 2 * kAmxRows ? 2 * kAmxRows : fitting;
  const int64_t all = round_up(u.queries, kAmxRows);
  return rows < all ? rows : all;
}

// A block's scratch and the packed keys and values.
struct AmxForwardRoom {
  AmxForwardRoom(const Bf16Unit& u, float* block)
      : parts(block), rows(amx_block_rows(u)), stride(round_up(u.keys, kAmxDepth)) {
    exponents = parts.take<float>(rows);
    sums = parts.take<float>(rows * kAmxColumns);
    ones = parts.take<BFloat16>(kAmxTile);
    queries = parts.take<BFloat16>(rows * u.head_dim);
    scores = parts.take<float>(rows * stride);
    powers = parts.take<BFloat16>(rows * stride);
    output = parts.take<float>(rows * u.head_dim);
    keys = parts.take<BFloat16>(round_up(u.keys, kAmxColumns) * u.head_dim);
    values = parts.take<BFloat16>(stride * u.head_dim);
  }

  ScratchParts parts;
  int64_t rows, stride;  // of scores and powers, in elements
  float* exponents;      // [rows]: of the power that a row's scores are divided by
  float* sums;           // [rows, 16]: of a row's powers
  BFloat16* ones;        // B [32, 16]
  BFloat16* queries;     // [rows, head_dim]
  float* scores;         // [rows, stride]
  BFloat16* powers;      // [rows, stride]
  float* output;         // [rows, head_dim]
  BFloat16* keys;        // B [head_dim, keys]
  BFloat16* values;      // B [keys, head_dim]
};

// A tile of scores: of up to 16 queries, from `first` on.
struct AmxScores {
  int64_t first, rows;
  float* scores;     // [16, stride]
  BFloat16* powers;  // [16, stride]
  int64_t stride;

  const float* row(int64_t i) const { return scores + i * stride; }
};

// A power of 2 that all scores of a tile are divided by before they become powers themselves, as
// its exponent: so that none is above 1. Being a whole power, it leaves their digits alone.
HWY_INLINE float tile_exponent(const AmxScores& tile, int64_t keys, float scale) {
  // The maximum of a NaN and another number is the second operand. Four rows at a time, the last
  // ones again and again, as one maximum takes four cycles.
  __m512 greatest[4];
  for (__m512& g : greatest) g = _mm512_set1_ps(-3.0e38f);
  const int64_t whole = keys / 16 * 16;
  const __mmask16 tail = first_lanes(keys - whole);
  for (int64_t i = 0; i < tile.rows; i += 4) {
    const float* rows[4];
    for (int64_t r = 0; r < 4; ++r) rows[r] = tile.row(i + r < tile.rows ? i + r : tile.rows - 1);
    for (int64_t j = 0; j < whole; j += 16) {
      unrolled<4>([&](auto r) HWY_ATTR {
        greatest[r] = _mm512_max_ps(_mm512_load_ps(rows[r] + j), greatest[r]);
      });
    }
    if (tail == 0) continue;
    unrolled<4>([&](auto r) HWY_ATTR {
      const __m512 last = _mm512_load_ps(rows[r] + whole);
      greatest[r] = _mm512_mask_max_ps(greatest[r], tail, last, greatest[r]);
    });
  }
  const __m512 both = _mm512_max_ps(_mm512_max_ps(greatest[0], greatest[1]),
                                    _mm512_max_ps(greatest[2], greatest[3]));
  return std::ceil(_mm512_reduce_max_ps(both) * scale);
}

// The same for one row and what it sees.
HWY_INLINE float row_exponent(const float* row, int64_t visible, float scale) {
  __m512 greatest = _mm512_set1_ps(-3.0e38f);
  for (int64_t j = 0; j < visible; j += 16) {
    const __m512 scores = _mm512_load_ps(row + j);
    greatest = _mm512_mask_max_ps(greatest, first_lanes(visible - j), scores, greatest);
  }
  return std::ceil(_mm512_reduce_max_ps(greatest) * scale);
}

// Scores of a row to powers of 2 in bf16, zero from `visible` to `width`.
HWY_INLINE void powers_of_row(const float* scores, int64_t visible, int64_t width, float scale,
                              float exponent, BFloat16* powers) {
  const __m512 factor = _mm512_set1_ps(scale);
  const __m512 shift = _mm512_set1_ps(exponent);
  const auto power = [&](int64_t j) HWY_ATTR {
    return coarse_exp2(_mm512_fmsub_ps(_mm512_load_ps(scores + j), factor, shift));
  };
  int64_t j = 0;
  for (; j + 32 <= visible; j += 32) {
    _mm512_store_si512(powers + j, round_to_bf16(power(j), power(j + 16)));
  }
  if (j < visible) {
    const __m512 low = _mm512_maskz_mov_ps(first_lanes(visible - j), power(j));
    __m512 high = _mm512_setzero_ps();
    if (visible - j > 16) {
      high = _mm512_maskz_mov_ps(first_lanes(visible - j - 16), power(j + 16));
    }
    _mm512_store_si512(powers + j, round_to_bf16(low, high));
    j += 32;
  }
  for (; j < width; j += 32) _mm512_store_si512(powers + j, _mm512_setzero_si512());
}

HWY_INLINE void drop_powers(const Bf16Unit& u, const AmxForwardRoom& room, int64_t begin,
                            int64_t end, int64_t keys) {
  for_attention_mask(u.mask, begin, end, keys, [&](int64_t i, int64_t j, Keep kept) HWY_ATTR {
    BFloat16* at = room.powers + i * room.stride + j;
    const auto mask = static_cast<__mmask16>(kept.raw);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), _mm256_maskz_loadu_epi16(mask, at));
  });
}

// A block: queries [begin, end), and the keys that the last of them sees.
struct AmxBlock {
  int64_t begin, end;
  int64_t visible;

  int64_t count() const { return end - begin; }
  int64_t rows() const { return round_up(count(), kAmxRows); }  // tiles: not all are used
  int64_t width() const { return round_up(visible, kAmxDepth); }
};

// The sums of the rows' powers, by tiles: in all 16 columns of `sums`.
HWY_INLINE void sum_powers(const AmxBlock& block, const AmxForwardRoom& room) {
  amx::product(block.rows(), kAmxColumns, block.width(), {room.powers, room.stride},
               {room.ones, 0, 0}, {room.sums, kAmxColumns});
}

// Powers and their sums of a block from its scores.
HWY_INLINE void softmax_block(const Bf16Unit& u, const AmxBlock& block,
                              const AmxForwardRoom& room) {
  const int64_t width = block.width();
  for (int64_t i = 0; i < block.count(); i += kAmxRows) {
    const int64_t left = block.count() - i;
    const AmxScores tile{block.begin + i, left < kAmxRows ? left : kAmxRows,
                         room.scores + i * room.stride, room.powers + i * room.stride, room.stride};
    const float exponent = tile_exponent(tile, block.visible, u.scale);
    for (int64_t r = 0; r < tile.rows; ++r) {
      room.exponents[i + r] = exponent;
      powers_of_row(tile.row(r), u.visible(tile.first + r), width, u.scale, exponent,
                    tile.powers + r * tile.stride);
    }
  }
  sum_powers(block, room);
  // Rows whose greatest power is so small that its neighbours may have been lost are done again.
  const __m512 least = _mm512_set1_ps(0x1p-90f);
  bool again = false;
  for (int64_t i = 0; i < block.count(); ++i) {
    const __m512 sum = _mm512_load_ps(room.sums + i * kAmxColumns);
    if (_mm512_cmp_ps_mask(sum, least, _CMP_LT_OQ) == 0) continue;
    const float* scores = room.scores + i * room.stride;
    const int64_t visible = u.visible(block.begin + i);
    room.exponents[i] = row_exponent(scores, visible, u.scale);
    powers_of_row(scores, visible, width, u.scale, room.exponents[i],
                  room.powers + i * room.stride);
    again = true;
  }
  if (again) sum_powers(block, room);
}

// The heads of a sequence, a block of queries at a time: blocks are started one ahead, so that the
// processor has something to do while it waits for a product. kHeadDim is the units', or 0: loops
// over one that the compiler knows vanish.
template <int64_t kHeadDim>
class AmxForward {
 public:
  AmxForward(const Bf16Unit& first, float* scratch)
      : d_(kHeadDim > 0 ? kHeadDim : first.head_dim), room_(first, scratch) {
    clear_pairs(first.keys, d_, room_.values);
    for (int64_t i = 0; i < kAmxTile; ++i) room_.ones[i] = {f32_to_bf16(1)};
  }

  HWY_INLINE AmxBlock block_at(const Bf16Unit& u, int64_t begin) const {
    const int64_t end = begin + room_.rows < u.queries ? begin + room_.rows : u.queries;
    return {begin, end, u.visible(end - 1)};
  }

  // Scores.
  HWY_INLINE void start(const Bf16Unit& u, const AmxBlock& block) {
    if (block.begin == 0) {
      keys_ = pack_transposed_pairs(rows_of(u.k), u.keys, d_, room_.keys);
      values_ = pack_pairs(rows_of(u.v), u.keys, d_, room_.values);
    }
    const Bf16Rows q = rows_of(u.q, block.begin);
    const AmxA queries = block.count() == block.rows()
                             ? AmxA{q.data, q.stride}
                             : copy_rows(q, block.count(), d_, room_.queries);
    amx::product(block.rows(), round_up(block.visible, kAmxColumns), d_, queries, keys_,
                 {room_.scores, room_.stride});
  }

  // From scores to the output, but for the factors of its rows.
  HWY_INLINE void go_on(const Bf16Unit& u, const AmxBlock& block) {
    softmax_block(u, block, room_);
    if (u.mask.active()) drop_powers(u, room_, block.begin, block.end, block.visible);
    amx::product(block.rows(), d_, block.width(), {room_.powers, room_.stride}, values_,
                 {room_.output, d_});
  }

  HWY_INLINE void finish(const Bf16Unit& u, const AmxBlock& block) {
    const __m512 kept_scale = _mm512_set1_ps(u.mask.scale);
    for (int64_t i = 0; i < block.count(); ++i) {
      const __m512 inverse = _mm512_rcp14_ps(_mm512_load_ps(room_.sums + i * kAmxColumns));
      if (u.statistics != nullptr) {
        float* to = u.statistics + (block.begin + i) * u.statistics_stride;
        to[0] = room_.exponents[i];
        to[1] = _mm512_cvtss_f32(inverse);
      }
      store_unpaired(room_.output + i * d_, d_, _mm512_mul_ps(inverse, kept_scale),
                     u.output.data + (block.begin + i) * u.output.stride);
    }
  }

 private:
  const int64_t d_;
  const AmxForwardRoom room_;
  AmxB keys_{}, values_{};
};

template <int64_t kHeadDim>
void amx_forward_heads(Bf16Unit u, int64_t heads, float* scratch) {
  AmxForward<kHeadDim> forward(u, scratch);
  AmxBlock block = forward.block_at(u, 0);
  forward.start(u, block);
  for (;;) {
    forward.go_on(u, block);
    const Bf16Unit before = u;
    const AmxBlock block_before = block;
    const bool next_head = block.end == u.queries;
    const bool done = next_head && --heads == 0;
    if (!done) {
      if (next_head) u.next_head();
      block = forward.block_at(u, next_head ? 0 : block.end);
      forward.start(u, block);
    }
    forward.finish(before, block_before);
    if (done) return;
  }
}

inline void amx_attention_forward(const Bf16Unit& u, int64_t heads, float* scratch) {
  if (u.head_dim == 32) return amx_forward_heads<32>(u, heads, scratch);
  if (u.head_dim == 64) return amx_forward_heads<64>(u, heads, scratch);
  amx_forward_heads<0>(u, heads, scratch);
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HEDDLE_OPS_ATTENTION_AMX_INL_H_
