// The gradients of attention_amx-inl.h. Scores are made transposed, a row for each key and a lane
// for each query: so the sum over keys that each query needs is one of vectors, and probabilities
// and gradients of scores lie as the products over queries want them. The product over keys alone
// wants the gradients transposed.
#if defined(HEDDLE_OPS_ATTENTION_AMX_BACKWARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HEDDLE_OPS_ATTENTION_AMX_BACKWARD_INL_H_
#undef HEDDLE_OPS_ATTENTION_AMX_BACKWARD_INL_H_
#else
#define HEDDLE_OPS_ATTENTION_AMX_BACKWARD_INL_H_
#endif

#include "framework/ops/detail/attention_amx-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

constexpr int64_t kStrip = 16;  // queries whose scores are made at once

// Queries of a block: as many as fit 128 KiB with a bf16 score for each key, whole tiles of 32. A
// function of the sequence's length alone.
HWY_INLINE int64_t amx_backward_rows(const Bf16Unit& u) {
  constexpr int64_t kScores = 65536;
  const int64_t fitting = kScores / round_up(u.keys, kAmxDepth) / kAmxDepth * kAmxDepth;
  const int64_t rows = fitting < kAmxDepth ? kAmxDepth : fitting;
  const int64_t all = round_up(u.queries, kAmxDepth);
  return rows < all ? rows : all;
}

struct AmxBackwardRoom {
  AmxBackwardRoom(const Bf16Unit& u, float* block)
      : parts(block), rows(amx_backward_rows(u)), width(round_up(u.keys, kAmxDepth)) {
    const int64_t d = u.head_dim;
    const int64_t tall = round_up(u.keys, kAmxRows);
    const auto bf16 = [&](int64_t n, int64_t m) { return parts.take<BFloat16>(n * m); };
    const auto f32 = [&](int64_t n, int64_t m) { return parts.take<float>(n * m); };
    keys = bf16(tall, d);
    values = bf16(tall, d);
    key_pairs = bf16(width, d);
    queries = bf16(rows, d);
    doutput = bf16(rows, d);
    query_pairs = bf16(rows, d);
    doutput_pairs = bf16(rows, d);
    powers = f32(tall, kStrip);
    gradients = f32(tall, kStrip);
    kept = parts.take<uint32_t>(tall);
    pairs = bf16(width / 2, 2 * kStrip);
    ds = bf16(kStrip, width);
    dq = f32(kStrip, d);
    p_transposed = bf16(tall, rows);
    ds_transposed = bf16(tall, rows);
    dk = f32(tall, d);
    dv = f32(tall, d);
  }

  ScratchParts parts;
  int64_t rows;                            // queries of a block
  int64_t width;                           // keys, whole tiles
  BFloat16 *keys, *values;                 // A [keys, head_dim]
  BFloat16* key_pairs;                     // B [keys, head_dim]
  BFloat16 *queries, *doutput;             // B [head_dim, rows]
  BFloat16 *query_pairs, *doutput_pairs;   // B [rows, head_dim]
  float *powers, *gradients;               // [keys, strip]; powers: before, scores
  uint32_t* kept;                          // [keys]: a bit for each query of the strip
  BFloat16* pairs;                         // [keys / 2, strip, 2]: gradients of the scores
  BFloat16* ds;                            // A [strip, keys]
  float* dq;                               // [strip, head_dim]
  BFloat16 *p_transposed, *ds_transposed;  // A [keys, rows]
  float *dk, *dv;                          // [keys, head_dim]
};

// Of the queries of a block: up to 16, and the keys that the last of them sees.
struct AmxStrip {
  int64_t first;   // of the sequence
  int64_t column;  // in the block
  int64_t queries, keys;
};

// The queries, as lanes, that see key j.
HWY_INLINE __mmask16 queries_of_key(const Bf16Unit& u, const AmxStrip& strip, int64_t j) {
  const __mmask16 all = first_lanes(strip.queries);
  if (!u.causal) return all;
  return static_cast<__mmask16>(all & ~first_lanes(j + u.queries - u.keys - strip.first));
}

// Bits of what dropout keeps, for all keys of the strip.
HWY_INLINE void keep_strip(const Bf16Unit& u, const AmxStrip& strip, uint32_t* kept) {
  for_attention_mask(
      u.mask, strip.first, strip.first + strip.queries, strip.keys,
      [&](int64_t i, int64_t j, Keep keep) HWY_ATTR {
        const __m512i before = i == 0 ? _mm512_setzero_si512() : _mm512_load_si512(kept + j);
        const __m512i bit = _mm512_set1_epi32(1 << i);
        const auto lanes = static_cast<__mmask16>(keep.raw);
        _mm512_store_si512(kept + j, _mm512_mask_or_epi32(before, lanes, before, bit));
      });
}

// What a strip's queries need, a lane for each.
struct AmxStripSums {
  __m512 inverse;  // 1 / the sum of the powers
  __m512 inner;    // the sum of what is kept of the probabilities times its gradient
};

// Scores of a strip to powers of 2, zero where a query does not see a key. They are summed again:
// what forward kept is the sum of rounded ones.
HWY_INLINE AmxStripSums powers_strip(const Bf16Unit& u, const AmxBackwardRoom& room,
                                     const AmxStrip& strip) {
  alignas(64) float exponents[kStrip] = {};
  for (int64_t i = 0; i < strip.queries; ++i) {
    exponents[i] = u.statistics[(strip.first + i) * u.statistics_stride];
  }
  const AmxPowers power_of(u.scale, _mm512_load_ps(exponents));
  const bool drops = u.mask.active();
  __m512 sum = _mm512_setzero_ps(), inner = _mm512_setzero_ps();
  for (int64_t j = 0; j < strip.keys; ++j) {
    float* at = room.powers + j * kStrip;
    const __m512 power = _mm512_maskz_mov_ps(queries_of_key(u, strip, j), power_of(at));
    _mm512_store_ps(at, power);
    sum = _mm512_add_ps(sum, power);
    const auto kept = static_cast<__mmask16>(drops ? room.kept[j] : 0xffffu);
    inner = _mm512_mask3_fmadd_ps(power, _mm512_load_ps(room.gradients + j * kStrip), inner, kept);
  }
  const __m512 inverse = _mm512_maskz_div_ps(first_lanes(strip.queries), _mm512_set1_ps(1.0f), sum);
  return {inverse, _mm512_mul_ps(inner, _mm512_mul_ps(inverse, _mm512_set1_ps(u.mask.scale)))};
}

// From powers and the probabilities' gradients, the strip's columns of p_transposed and
// ds_transposed, and `pairs`. Keys that it does not see, up to `seen` by the block, get zeros.
HWY_INLINE void gradients_strip(const Bf16Unit& u, const AmxBackwardRoom& room,
                                const AmxStrip& strip, const AmxStripSums& sums, int64_t seen) {
  alignas(64) static constexpr uint16_t kInterleave[32] = {
      0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
      8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i interleave = _mm512_load_si512(kInterleave);
  const __m512 kept_scale = _mm512_set1_ps(u.mask.scale);
  const bool drops = u.mask.active();
  struct Row {
    __m512 p, ds;
  };
  const auto row = [&](int64_t j) HWY_ATTR {
    const auto kept = static_cast<__mmask16>(drops ? room.kept[j] : 0xffffu);
    const __m512 p = _mm512_mul_ps(_mm512_load_ps(room.powers + j * kStrip), sums.inverse);
    const __m512 dp = _mm512_load_ps(room.gradients + j * kStrip);
    const __m512 rest = _mm512_sub_ps(_mm512_maskz_mul_ps(kept, dp, kept_scale), sums.inner);
    return Row{_mm512_maskz_mov_ps(kept, p),
               _mm512_maskz_mul_ps(queries_of_key(u, strip, j), p, rest)};
  };
  const auto store = [&](BFloat16* to, int64_t j, __m256i row) HWY_ATTR {
    _mm256_store_si256(reinterpret_cast<__m256i*>(to + j * room.rows + strip.column), row);
  };
  int64_t j = 0;
  for (; j < strip.keys; j += 2) {
    const Row even = row(j);
    const Row odd = j + 1 < strip.keys ? row(j + 1) : Row{_mm512_setzero_ps(), _mm512_setzero_ps()};
    const __m512i p = round_to_bf16(even.p, odd.p);
    const __m512i ds = round_to_bf16(even.ds, odd.ds);
    store(room.p_transposed, j, _mm512_castsi512_si256(p));
    store(room.ds_transposed, j, _mm512_castsi512_si256(ds));
    if (j + 1 < seen) {
      store(room.p_transposed, j + 1, _mm512_extracti64x4_epi64(p, 1));
      store(room.ds_transposed, j + 1, _mm512_extracti64x4_epi64(ds, 1));
    }
    _mm512_store_si512(room.pairs + j * kStrip, _mm512_permutexvar_epi16(interleave, ds));
  }
  for (int64_t pair = j; pair < round_up(j, kAmxDepth); pair += 2) {
    _mm512_store_si512(room.pairs + pair * kStrip, _mm512_setzero_si512());
  }
  for (; j < seen; ++j) {
    store(room.p_transposed, j, _mm256_setzero_si256());
    store(room.ds_transposed, j, _mm256_setzero_si256());
  }
}

HWY_INLINE void query_gradients_strip(const Bf16Unit& u, const AmxBackwardRoom& room,
                                      const AmxStrip& strip, int64_t d, const AmxB& keys) {
  const int64_t width = round_up(strip.keys, kAmxDepth);
  for (int64_t j = 0; j < width; j += kAmxDepth) {
    const BFloat16* rows[16];
    for (int64_t i = 0; i < 16; ++i) rows[i] = room.pairs + (j / 2 + i) * 2 * kStrip;
    transpose_pairs(rows, 0, room.ds + j, room.width);
  }
  amx_product(kStrip, d, width, {room.ds, room.width}, keys, {room.dq, d});
  for (int64_t i = 0; i < strip.queries; ++i) {
    store_unpaired(room.dq + i * d, d, _mm512_set1_ps(u.derivative),
                   u.dq.data + (strip.first + i) * u.dq.stride);
  }
}

template <int64_t kHeadDim>
HWY_INLINE void amx_backward_head(const Bf16Unit& u, const AmxBackwardRoom& room) {
  const int64_t d = kHeadDim > 0 ? kHeadDim : u.head_dim;
  const AmxA keys = copy_rows(rows_of(u.k), u.keys, d, room.keys);
  const AmxA values = copy_rows(rows_of(u.v), u.keys, d, room.values);
  const AmxB key_pairs = pack_pairs(rows_of(u.k), u.keys, d, room.key_pairs);
  const bool many = room.rows < u.queries;
  for (float* sums : {room.dk, room.dv}) {
    for (int64_t i = 0; i < u.keys * d && many; i += 16)
      _mm512_store_ps(sums + i, _mm512_setzero_ps());
  }
  for (int64_t begin = 0; begin < u.queries; begin += room.rows) {
    const int64_t end = begin + room.rows < u.queries ? begin + room.rows : u.queries;
    const int64_t count = end - begin;
    const int64_t seen = u.visible(end - 1);
    const Bf16Rows q = rows_of(u.q, begin), dy = rows_of(u.output, begin);
    const AmxB queries = pack_transposed_pairs(q, count, count, d, room.queries);
    const AmxB doutput = pack_transposed_pairs(dy, count, count, d, room.doutput);
    for (int64_t i = 0; i < count; i += kStrip) {
      const int64_t left = count - i < kStrip ? count - i : kStrip;
      const AmxStrip strip{begin + i, i, left, u.visible(begin + i + left - 1)};
      const auto scores = [&](const AmxA& rows, const AmxB& of_queries, float* to) HWY_ATTR {
        amx_product(round_up(strip.keys, kAmxRows), kStrip, d, rows,
                    {of_queries.data + i / kStrip * of_queries.panel, of_queries.panel},
                    {to, kStrip});
      };
      scores(keys, queries, room.powers);
      scores(values, doutput, room.gradients);
      if (u.mask.active()) keep_strip(u, strip, room.kept);
      gradients_strip(u, room, strip, powers_strip(u, room, strip), seen);
      query_gradients_strip(u, room, strip, d, key_pairs);
    }
    if (round_up(count, kStrip) < round_up(count, kAmxDepth)) {  // the other half of a tile
      for (BFloat16* transposed : {room.p_transposed, room.ds_transposed}) {
        for (int64_t j = 0; j < seen; ++j) {
          BFloat16* to = transposed + j * room.rows + round_up(count, kStrip);
          _mm256_store_si256(reinterpret_cast<__m256i*>(to), _mm256_setzero_si256());
        }
      }
    }
    // Over the block's queries; a stretch of keys at a time goes on to its place while it is warm.
    const auto of_keys = [&](const BFloat16* transposed, const AmxB& of_queries, float scale,
                             float* sums, const kernels::AttentionMatrix<BFloat16>& out) HWY_ATTR {
      for (int64_t j = 0; j < seen; j += 2 * kAmxRows) {
        const int64_t last = seen - j < 2 * kAmxRows ? seen - j : 2 * kAmxRows;
        amx_product(round_up(last, kAmxRows), d, round_up(count, kAmxDepth),
                    {transposed + j * room.rows, room.rows}, of_queries, {sums + j * d, d, many});
        for (int64_t i = j; i < j + last && end == u.queries; ++i) {
          store_unpaired(sums + i * d, d, _mm512_set1_ps(scale), out.data + i * out.stride);
        }
      }
    };
    clear_pairs(count, d, room.doutput_pairs);
    clear_pairs(count, d, room.query_pairs);
    of_keys(room.p_transposed, pack_pairs(dy, count, d, room.doutput_pairs), u.mask.scale, room.dv,
            u.dv);
    of_keys(room.ds_transposed, pack_pairs(q, count, d, room.query_pairs), u.derivative, room.dk,
            u.dk);
  }
}

template <int64_t kHeadDim>
void amx_backward_heads(Bf16Unit u, int64_t heads, float* scratch) {
  const AmxBackwardRoom room(u, scratch);
  clear_pairs(u.keys, u.head_dim, room.key_pairs);
  for (; heads > 0; --heads, u.next_head()) amx_backward_head<kHeadDim>(u, room);
}

inline void amx_attention_backward(const Bf16Unit& u, int64_t heads, float* scratch) {
  if (u.head_dim == 32) return amx_backward_heads<32>(u, heads, scratch);
  if (u.head_dim == 64) return amx_backward_heads<64>(u, heads, scratch);
  amx_backward_heads<0>(u, heads, scratch);
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HEDDLE_OPS_ATTENTION_AMX_BACKWARD_INL_H_
