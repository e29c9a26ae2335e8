// Philox4x32-10 (random.h) on vectors of counters, and the masks that dropout draws with it.
// Included once for each instruction set, after simd-inl.h.
#if defined(HEDDLE_OPS_PHILOX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HEDDLE_OPS_PHILOX_INL_H_
#undef HEDDLE_OPS_PHILOX_INL_H_
#else
#define HEDDLE_OPS_PHILOX_INL_H_
#endif

#include "framework/ops/detail/dropout_mask.h"
#include "framework/ops/detail/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

using VecU = hn::Vec<U>;

struct PhiloxWords {
  VecU word[4];
};

// The words of the counters (c0, c1, c2, c3 of each lane); c0 to c2 are the same in all lanes.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE PhiloxWords philox(uint32_t c0, uint32_t c1, uint32_t c2, VecU c3, PhiloxKey key) {
  const U d;
  const PhiloxBlock words = heddle::philox({c0, c1, c2, hn::GetLane(c3)}, key);
  return {{hn::Set(d, words[0]), hn::Set(d, words[1]), hn::Set(d, words[2]), hn::Set(d, words[3])}};
}
#else
HWY_INLINE PhiloxWords philox(uint32_t c0, uint32_t c1, uint32_t c2, VecU c3, PhiloxKey key) {
  const U d;
  const hn::RepartitionToWide<U> wide;
  using Wide = hn::Vec<decltype(wide)>;
  const Wide m0 = hn::Set(wide, 0xD2511F53u);
  const Wide m1 = hn::Set(wide, 0xCD9E8D57u);
  // Even and odd lanes apart, one counter in each 64 bits; what stands above bit 32 is ignored.
  struct State {
    Wide a, b, c, d;
  };
  const auto start = [&](Wide last) HWY_ATTR {
    return State{hn::Set(wide, c0), hn::Set(wide, c1), hn::Set(wide, c2), last};
  };
  const auto multiply = [&](Wide x, Wide y)
                            HWY_ATTR { return hn::MulEven(hn::BitCast(d, x), hn::BitCast(d, y)); };
  const auto round = [&](State s, Wide k0, Wide k1) HWY_ATTR {
    const Wide first = multiply(s.a, m0);
    const Wide second = multiply(s.c, m1);
    return State{hn::Xor(hn::Xor(hn::ShiftRight<32>(second), s.b), k0), second,
                 hn::Xor(hn::Xor(hn::ShiftRight<32>(first), s.d), k1), first};
  };
  const Wide c3_wide = hn::BitCast(wide, c3);
  State even = start(c3_wide);
  State odd = start(hn::ShiftRight<32>(c3_wide));
  for (int i = 0; i < 10; ++i) {
    const Wide k0 = hn::Set(wide, key[0]);
    const Wide k1 = hn::Set(wide, key[1]);
    even = round(even, k0, k1);
    odd = round(odd, k0, k1);
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  const auto join = [&](Wide of_even, Wide of_odd) HWY_ATTR {
    return hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(of_odd)), hn::BitCast(d, of_even));
  };
  return {{join(even.a, odd.a), join(even.b, odd.b), join(even.c, odd.c), join(even.d, odd.d)}};
}
#endif

using Keep = hn::Mask<F>;

HWY_INLINE Keep keep(VecU word, int32_t last_dropped) {
  const I di;
  return hn::RebindMask(F(), hn::Gt(hn::BitCast(di, word), hn::Set(di, last_dropped)));
}

// Calls body(i, count, keep) for the vectors of one row's features [0, n), `count` of them valid.
template <typename Body>
HWY_INLINE void for_dropout_row(const DropoutMask& mask, int64_t row_key, int64_t n, Body&& body) {
  constexpr int64_t kGroup = 64;  // features that 16 blocks of words serve
  const U d;
  const int64_t step = lanes();
  const auto low = static_cast<uint32_t>(row_key);
  const auto high = static_cast<uint32_t>(static_cast<uint64_t>(row_key) >> 32);
  for (int64_t group = 0; group < n; group += kGroup) {
    for (int64_t v = 0; v < 16; v += step) {
      const VecU block = hn::Iota(d, static_cast<uint32_t>(group / 4 + v));
      const PhiloxWords words = philox(low, high, mask.step, block, mask.key);
      for (int64_t w = 0; w < 4; ++w) {
        const int64_t i = group + 16 * w + v;
        if (i >= n) break;
        body(i, n - i < step ? n - i : step, keep(words.word[w], mask.last_dropped));
      }
    }
  }
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HEDDLE_OPS_PHILOX_INL_H_
