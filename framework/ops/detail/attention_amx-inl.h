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

// Scores to powers of 2, 2^(score * scale - exponent), of which none is above 2: relative error
// 1.2e-4, a thirtieth of bf16's. 2^0 is 1. An object holds what a loop needs in registers.
struct AmxPowers {
  HWY_INLINE AmxPowers(float of_scores, __m512 exponent)
      : scale(_mm512_set1_ps(of_scores)),
        shift(exponent),
        c3(_mm512_set1_ps(0.07760864257f)),
        c2(_mm512_set1_ps(0.22733764648f)),
        c1(_mm512_set1_ps(0.69505371094f)),
        c0(_mm512_set1_ps(1.0f)) {}

  HWY_INLINE __m512 operator()(const float* scores) const {
    constexpr int kFraction = 0x09;  // what is above the next lower integer
    const __m512 x = _mm512_fmsub_ps(_mm512_load_ps(scores), scale, shift);
    const __m512 f = _mm512_reduce_ps(x, kFraction);
    __m512 p = _mm512_fmadd_ps(c3, f, c2);
    p = _mm512_fmadd_ps(p, f, c1);
    p = _mm512_fmadd_ps(p, f, c0);
    return _mm512_scalef_ps(p, x);
  }

  __m512 scale, shift, c3, c2, c1, c0;
};

// The lowest n of 32 bits; none if n < 0, all from 32 on.
HWY_INLINE uint32_t first_bits(int64_t n) {
  return _bzhi_u32(~0u, static_cast<uint32_t>(n < 0 ? 0 : n < 32 ? n : 32));
}

HWY_INLINE __mmask16 first_lanes(int64_t n) {
  return static_cast<__mmask16>(first_bits(n));
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
    exponents = parts.take<float>(round_up(rows, kAmxRows));
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

// Up to 16 rows of scores.
struct AmxScores {
  const float* scores;
  int64_t stride, rows;

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
HWY_INLINE void powers_of_row(const AmxPowers& power, const float* scores, int64_t visible,
                              int64_t width, BFloat16* powers) {
  int64_t j = 0;
  for (; j + 32 <= visible; j += 32) {
    _mm512_store_si512(powers + j, round_to_bf16(power(scores + j), power(scores + j + 16)));
  }
  if (j < visible) {
    const __m512 low = _mm512_maskz_mov_ps(first_lanes(visible - j), power(scores + j));
    const __m512 high = _mm512_maskz_mov_ps(first_lanes(visible - j - 16), power(scores + j + 16));
    _mm512_store_si512(powers + j, round_to_bf16(low, high));
    j += 32;
  }
  for (; j < width; j += 32) _mm512_store_si512(powers + j, _mm512_setzero_si512());
}

// The same where no more than 16 are to be seen and `width` is 32.
HWY_INLINE void powers_of_short_row(const AmxPowers& power, const float* scores, int64_t visible,
                                    BFloat16* powers) {
  const __m512 low = _mm512_maskz_mov_ps(first_lanes(visible), power(scores));
  _mm512_store_si512(powers, round_to_bf16(low, _mm512_setzero_ps()));
}

// A block: queries [begin, end), and the keys that the last of them sees.
struct AmxBlock {
  int64_t begin, end;
  int64_t visible;

  int64_t count() const { return end - begin; }
  int64_t rows() const { return round_up(count(), kAmxRows); }  // tiles: not all are used
  int64_t width() const { return round_up(visible, kAmxDepth); }
};

// One head's work on a block, in steps. kHeadDim is the unit's, or 0: loops over one that the
// compiler knows vanish.
template <int64_t kHeadDim>
struct AmxForward {
  AmxForward(const Bf16Unit& unit, float* scratch) : u(unit), room(unit, scratch) {
    clear_pairs(u.keys, d(), room.values);
    for (int64_t i = 0; i < kAmxTile; ++i) room.ones[i] = {f32_to_bf16(1)};
  }

  HWY_INLINE int64_t d() const { return kHeadDim > 0 ? kHeadDim : u.head_dim; }

  HWY_INLINE void pack() {
    keys = pack_transposed_pairs(rows_of(u.k), u.keys, u.key_rows, d(), room.keys);
    values = pack_pairs(rows_of(u.v), u.keys, d(), room.values);
  }

  HWY_INLINE void scores(const AmxBlock& block) {
    const Bf16Rows q = rows_of(u.q, block.begin);
    // What the last tile reads of other sequences has no part in the rows that are used.
    const AmxA queries = block.begin + block.rows() <= u.query_rows
                             ? AmxA{q.data, q.stride}
                             : copy_rows(q, block.count(), d(), room.queries);
    amx::product(block.rows(), round_up(block.visible, kAmxColumns), d(), queries, keys,
                 {room.scores, room.stride});
  }

  HWY_INLINE void powers(const AmxBlock& block) {
    for (int64_t i = 0; i < block.count(); i += kAmxRows) {
      const int64_t left = block.count() - i;
      const AmxScores tile{room.scores + i * room.stride, room.stride,
                           left < kAmxRows ? left : kAmxRows};
      const __m512 exponent = _mm512_set1_ps(tile_exponent(tile, block.visible, u.scale));
      _mm512_store_ps(room.exponents + i, exponent);
      const AmxPowers power(u.scale, exponent);
      BFloat16* to = room.powers + i * room.stride;
      const auto visible = [&](int64_t r) { return u.visible(block.begin + i + r); };
      if (block.visible <= 16) {
        for (int64_t r = 0; r < tile.rows; ++r, to += room.stride) {
          powers_of_short_row(power, tile.row(r), visible(r), to);
        }
      } else {
        for (int64_t r = 0; r < tile.rows; ++r, to += room.stride) {
          prefetch_next_head(block.begin + i + r);
          powers_of_row(power, tile.row(r), visible(r), block.width(), to);
        }
      }
    }
  }

  HWY_INLINE void prefetch_next_head(int64_t row) const {
    for (const kernels::AttentionMatrix<BFloat16>* m : {&u.q, &u.k, &u.v}) {
      const BFloat16* from = m->data + row * m->stride + d();
      for (int64_t c = 0; c < d(); c += 32) {
        _mm_prefetch(reinterpret_cast<const char*>(from + c), _MM_HINT_T0);
      }
    }
  }

  // The sums of the rows' powers, by a tile of ones: in all 16 columns.
  HWY_INLINE void sums(const AmxBlock& block) {
    amx::product(block.rows(), kAmxColumns, block.width(), {room.powers, room.stride},
                 {room.ones, 0, 0}, {room.sums, kAmxColumns});
  }

  // Rows whose powers are all so small that some may have been lost are done again, by themselves.
  HWY_INLINE void repeat_small_rows(const AmxBlock& block) {
    const __m512 enough = _mm512_set1_ps(0x1p-90f);
    __m512 least = enough;
    for (int64_t i = 0; i < block.count(); ++i) {
      least = _mm512_min_ps(_mm512_load_ps(room.sums + i * kAmxColumns), least);
    }
    if (_mm512_cmp_ps_mask(least, enough, _CMP_LT_OQ) == 0) [[likely]]
      return;
    for (int64_t i = 0; i < block.count(); ++i) {
      if (room.sums[i * kAmxColumns] >= 0x1p-90f) continue;
      const float* scores = room.scores + i * room.stride;
      const int64_t visible = u.visible(block.begin + i);
      room.exponents[i] = row_exponent(scores, visible, u.scale);
      const AmxPowers power(u.scale, _mm512_set1_ps(room.exponents[i]));
      powers_of_row(power, scores, visible, block.width(), room.powers + i * room.stride);
    }
    sums(block);
  }

  HWY_INLINE void drop(const AmxBlock& block) {
    const auto body = [&](int64_t i, int64_t j, Keep kept) HWY_ATTR {
      BFloat16* at = room.powers + i * room.stride + j;
      const auto mask = static_cast<__mmask16>(kept.raw);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), _mm256_maskz_loadu_epi16(mask, at));
    };
    for_attention_mask(u.mask, block.begin, block.end, block.visible, body);
  }

  HWY_INLINE void output(const AmxBlock& block) {
    amx::product(block.rows(), d(), block.width(), {room.powers, room.stride}, values,
                 {room.output, d()});
  }

  HWY_INLINE void store(const AmxBlock& block) {
    const __m512 kept_scale = _mm512_set1_ps(u.mask.scale);
    for (int64_t i = 0; i < block.count(); ++i) {
      const __m512 inverse = _mm512_rcp14_ps(_mm512_load_ps(room.sums + i * kAmxColumns));
      if (u.statistics != nullptr) {
        float* to = u.statistics + (block.begin + i) * u.statistics_stride;
        to[0] = room.exponents[i];
        to[1] = _mm512_cvtss_f32(inverse);
      }
      store_unpaired(room.output + i * d(), d(), _mm512_mul_ps(inverse, kept_scale),
                     u.output.data + (block.begin + i) * u.output.stride);
    }
  }

  Bf16Unit u;
  const AmxForwardRoom room;
  AmxB keys{}, values{};
};

template <int64_t kHeadDim>
void amx_forward_heads(const Bf16Unit& first, int64_t heads, float* scratch) {
  AmxForward<kHeadDim> head(first, scratch);
  for (; heads > 0; --heads, head.u.next_head()) {
    head.pack();
    for (int64_t begin = 0; begin < first.queries; begin += head.room.rows) {
      const int64_t left = first.queries - begin;
      const int64_t end = begin + (left < head.room.rows ? left : head.room.rows);
      const AmxBlock block{begin, end, first.visible(end - 1)};
      head.scores(block);
      head.powers(block);
      head.sums(block);
      head.repeat_small_rows(block);
      if (first.mask.active()) head.drop(block);
      head.output(block);
      head.store(block);
    }
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
