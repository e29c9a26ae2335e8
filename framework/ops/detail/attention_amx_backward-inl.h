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
    powers = f32(tall, 32);
    gradients = f32(tall, 32);
    kept = parts.take<uint32_t>(tall);
    pairs = bf16(width, 32);
    ds = bf16(32, width);
    dq = f32(32, d);
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
  BFloat16* pairs;                         // [strip / 16, keys / 2, 16, 2]: gradients of scores
  BFloat16* ds;                            // A [strip, keys]
  float* dq;                               // [strip, head_dim]
  BFloat16 *p_transposed, *ds_transposed;  // A [keys, rows]
  float *dk, *dv;                          // [keys, head_dim]
};

// Up to 32 queries of a block, and the keys that the last of them sees.
struct AmxStrip {
  int64_t first;   // of the sequence
  int64_t column;  // in the block
  int64_t queries, keys;
};

// The queries, as lanes, that see key j.
HWY_INLINE uint32_t queries_of_key(const Bf16Unit& u, const AmxStrip& strip, int64_t j) {
  const uint32_t all = first_bits(strip.queries);
  return u.causal ? all & ~first_bits(j + u.queries - u.keys - strip.first) : all;
}

HWY_INLINE __mmask16 half_of(uint32_t lanes, int half) {
  return static_cast<__mmask16>(lanes >> 16 * half);
}

// Bits of what dropout keeps, for all keys of the strip.
HWY_INLINE void keep_strip(const Bf16Unit& u, const AmxStrip& strip, uint32_t* kept) {
  for_attention_mask(
      u.mask, strip.first, strip.first + strip.queries, strip.keys,
      [&](int64_t i, int64_t j, Keep keep) HWY_ATTR {
        const __m512i before = i == 0 ? _mm512_setzero_si512() : _mm512_load_si512(kept + j);
        const __m512i bit = _mm512_set1_epi32(static_cast<int>(1u << i));
        const auto lanes = static_cast<__mmask16>(keep.raw);
        _mm512_store_si512(kept + j, _mm512_mask_or_epi32(before, lanes, before, bit));
      });
}

// A strip of at most 16 * kHalves queries, in steps: a lane is a query, a row a key.
template <int kHalves>
struct AmxStripWork {
  static constexpr int64_t kLanes = 16 * kHalves;

  // Scores of the strip and gradients of its probabilities.
  HWY_INLINE void multiply(const AmxA& keys, const AmxA& values, const AmxB& queries,
                           const AmxB& doutput, int64_t d) {
    const auto product = [&](const AmxA& rows, const AmxB& of_queries, float* to) HWY_ATTR {
      const BFloat16* panels = of_queries.data + strip.column / 16 * of_queries.panel;
      amx_product(round_up(strip.keys, kAmxRows), kLanes, d, rows, {panels, of_queries.panel},
                  {to, kLanes});
    };
    product(keys, queries, room.powers);
    product(values, doutput, room.gradients);
  }

  HWY_INLINE uint32_t kept(int64_t j) const { return u.mask.active() ? room.kept[j] : ~0u; }

  // Scores to powers of 2, zero where a query does not see a key. They are summed again: what
  // forward kept is the sum of rounded ones.
  HWY_INLINE void powers() {
    alignas(64) float exponents[kLanes] = {};
    for (int64_t i = 0; i < strip.queries; ++i) {
      exponents[i] = u.statistics[(strip.first + i) * u.statistics_stride];
    }
    const AmxPowers power[2] = {{u.scale, _mm512_load_ps(exponents)},
                                {u.scale, _mm512_load_ps(exponents + kLanes - 16)}};
    __m512 sum[kHalves], kept_sum[kHalves];
    for (int h = 0; h < kHalves; ++h) sum[h] = kept_sum[h] = _mm512_setzero_ps();
    for (int64_t j = 0; j < strip.keys; ++j) {
      const uint32_t seen = queries_of_key(u, strip, j);
      const uint32_t keep = kept(j);
      unrolled<kHalves>([&](auto h) HWY_ATTR {
        float* at = room.powers + j * kLanes + h * 16;
        const __m512 p = _mm512_maskz_mov_ps(half_of(seen, h), power[h](at));
        _mm512_store_ps(at, p);
        sum[h] = _mm512_add_ps(sum[h], p);
        const __m512 dp = _mm512_load_ps(room.gradients + j * kLanes + h * 16);
        kept_sum[h] = _mm512_mask3_fmadd_ps(p, dp, kept_sum[h], half_of(keep, h));
      });
    }
    const uint32_t all = first_bits(strip.queries);
    const __m512 kept_scale = _mm512_set1_ps(u.mask.scale);
    for (int h = 0; h < kHalves; ++h) {
      inverse[h] = _mm512_maskz_div_ps(half_of(all, h), _mm512_set1_ps(1.0f), sum[h]);
      inner[h] = _mm512_mul_ps(kept_sum[h], _mm512_mul_ps(inverse[h], kept_scale));
    }
  }

  struct Row {
    __m512 p[kHalves], ds[kHalves];
  };

  // What is kept of the probabilities of key j, and the gradients of its scores.
  HWY_INLINE Row row(int64_t j) const {
    Row made;
    const __m512 kept_scale = _mm512_set1_ps(u.mask.scale);
    const uint32_t seen = queries_of_key(u, strip, j);
    const uint32_t keep = kept(j);
    unrolled<kHalves>([&](auto h) HWY_ATTR {
      const __m512 p = _mm512_mul_ps(_mm512_load_ps(room.powers + j * kLanes + h * 16), inverse[h]);
      const __m512 dp = _mm512_load_ps(room.gradients + j * kLanes + h * 16);
      const __m512 kept_dp = _mm512_maskz_mul_ps(half_of(keep, h), dp, kept_scale);
      made.p[h] = _mm512_maskz_mov_ps(half_of(keep, h), p);
      made.ds[h] = _mm512_maskz_mul_ps(half_of(seen, h), p, _mm512_sub_ps(kept_dp, inner[h]));
    });
    return made;
  }

  // The strip's columns of p_transposed and ds_transposed, and `pairs`. Keys that it does not see,
  // up to `of_block` by the block, get zeros.
  HWY_INLINE void gradients(int64_t of_block) {
    const auto store = [&](BFloat16* to, int64_t j, __m512i value) HWY_ATTR {
      _mm512_store_si512(to + j * room.rows + strip.column, value);
    };
    const auto rounded = [&](const __m512(&v)[kHalves]) HWY_ATTR {
      return round_to_bf16(v[0], kHalves > 1 ? v[kHalves - 1] : _mm512_setzero_ps());
    };
    const auto make = [&](int64_t j) HWY_ATTR {
      const Row made = row(j);
      store(room.p_transposed, j, rounded(made.p));
      const __m512i ds = rounded(made.ds);
      store(room.ds_transposed, j, ds);
      return ds;
    };
    const __m512i zero = _mm512_setzero_si512();
    int64_t j = 0;
    for (; j + 2 <= strip.keys; j += 2) {
      const __m512i even = make(j);
      store_pairs(j, even, make(j + 1));
    }
    if (j < strip.keys) {
      store_pairs(j, make(j), zero);
      ++j;
    }
    for (int64_t k = (j + 1) / 2 * 2; k < round_up(j, kAmxDepth); k += 2)
      store_pairs(k, zero, zero);
    for (; j < of_block; ++j) {
      store(room.p_transposed, j, zero);
      store(room.ds_transposed, j, zero);
    }
  }

  // Of keys j and j + 1. Where there are two halves, query i goes to half i / 4 % 2.
  HWY_INLINE void store_pairs(int64_t j, __m512i even, __m512i odd) {
    BFloat16* to = room.pairs + j * 16;
    if constexpr (kHalves == 1) {
      const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
      even = _mm512_permutexvar_epi64(order, even);
      odd = _mm512_permutexvar_epi64(order, odd);
    } else {
      _mm512_store_si512(to + room.width * 16, _mm512_unpackhi_epi16(even, odd));
    }
    _mm512_store_si512(to, _mm512_unpacklo_epi16(even, odd));
  }

  // From `pairs` to the gradients of the queries.
  HWY_INLINE void query_gradients(const AmxB& key_pairs, int64_t d) {
    const int64_t width = round_up(strip.keys, kAmxDepth);
    for (int64_t h = 0; h < kHalves; ++h) {
      for (int64_t j = 0; j < width; j += kAmxDepth) {
        const BFloat16* rows[16] = {room.pairs + h * room.width * 16 + j * 16};
        for (int64_t i = 1; i < 16; ++i) rows[i] = rows[i - 1] + 32;
        transpose_pairs(rows, 0, room.ds + h * 16 * room.width + j, room.width);
      }
    }
    amx_product(kLanes, d, width, {room.ds, room.width}, key_pairs, {room.dq, d});
    const __m512 derivative = _mm512_set1_ps(u.derivative);
    for (int64_t i = 0; i < strip.queries; ++i) {
      const int64_t row = kHalves == 1 ? i : i / 4 % 2 * 16 + i / 8 * 4 + i % 4;
      store_unpaired(room.dq + row * d, d, derivative, u.dq.data + (strip.first + i) * u.dq.stride);
    }
  }

  const Bf16Unit& u;
  const AmxBackwardRoom& room;
  const AmxStrip strip;
  __m512 inverse[kHalves] = {};  // of the sums of the queries' powers
  __m512 inner[kHalves] = {};  // sums over keys of what is kept of a probability times its gradient
};

template <int64_t kHeadDim>
HWY_INLINE void amx_backward_head(const Bf16Unit& u, const AmxBackwardRoom& room) {
  const int64_t d = kHeadDim > 0 ? kHeadDim : u.head_dim;
  const bool in_place = round_up(u.keys, kAmxRows) <= u.key_rows;
  const AmxA keys =
      in_place ? AmxA{u.k.data, u.k.stride} : copy_rows(rows_of(u.k), u.keys, d, room.keys);
  const AmxA values =
      in_place ? AmxA{u.v.data, u.v.stride} : copy_rows(rows_of(u.v), u.keys, d, room.values);
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
    for (int64_t i = 0; i < count; i += 32) {
      const int64_t left = count - i < 32 ? count - i : 32;
      const AmxStrip strip{begin + i, i, left, u.visible(begin + i + left - 1)};
      if (u.mask.active()) keep_strip(u, strip, room.kept);
      const auto work = [&](auto&& steps) HWY_ATTR {
        steps.multiply(keys, values, queries, doutput, d);
        steps.powers();
        steps.gradients(seen);
        steps.query_gradients(key_pairs, d);
      };
      if (left <= 16) {
        work(AmxStripWork<1>{u, room, strip});
      } else {
        work(AmxStripWork<2>{u, room, strip});
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
