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

// The keys of the ten rounds, as vectors.
class PhiloxKeys {
 public:
  explicit PhiloxKeys(PhiloxKey key) : key_(key) {
#if HWY_TARGET != HWY_SCALAR
    for (int i = 0; i < 10; ++i) {
      hn::Store(hn::Set(Wide(), key[0]), Wide(), round_ + (2 * i) * kLanes);
      hn::Store(hn::Set(Wide(), key[1]), Wide(), round_ + (2 * i + 1) * kLanes);
      key[0] += 0x9E3779B9u;
      key[1] += 0xBB67AE85u;
    }
#endif
  }

  // The words of the counters (c0, c1, c2, c3 of each lane); c0 to c2 are the same in all lanes.
  HWY_INLINE PhiloxWords operator()(uint32_t c0, uint32_t c1, uint32_t c2, VecU c3) const;

 private:
  PhiloxKey key_;
#if HWY_TARGET != HWY_SCALAR
  using Wide = hn::RepartitionToWide<U>;
  static constexpr size_t kLanes = HWY_LANES(uint64_t);
  HWY_ALIGN uint64_t round_[20 * kLanes];
#endif
};

#if HWY_TARGET == HWY_SCALAR
HWY_INLINE PhiloxWords PhiloxKeys::operator()(uint32_t c0, uint32_t c1, uint32_t c2,
                                              VecU c3) const {
  const U d;
  const PhiloxBlock words = philox({c0, c1, c2, hn::GetLane(c3)}, key_);
  return {{hn::Set(d, words[0]), hn::Set(d, words[1]), hn::Set(d, words[2]), hn::Set(d, words[3])}};
}
#else
HWY_INLINE PhiloxWords PhiloxKeys::operator()(uint32_t c0, uint32_t c1, uint32_t c2,
                                              VecU c3) const {
  const U d;
  const Wide wide;
  using V = hn::Vec<Wide>;
  const V m0 = hn::Set(wide, 0xD2511F53u);
  const V m1 = hn::Set(wide, 0xCD9E8D57u);
  // Even and odd lanes apart, one counter in each 64 bits; what stands above bit 32 is ignored.
  struct State {
    V a, b, c, d;
  };
  const auto start = [&](V last) HWY_ATTR {
    return State{hn::Set(wide, c0), hn::Set(wide, c1), hn::Set(wide, c2), last};
  };
  const auto multiply = [&](V x, V y)
                            HWY_ATTR { return hn::MulEven(hn::BitCast(d, x), hn::BitCast(d, y)); };
  const auto round = [&](State s, V k0, V k1) HWY_ATTR {
    const V first = multiply(s.a, m0);
    const V second = multiply(s.c, m1);
    return State{hn::Xor(hn::Xor(hn::ShiftRight<32>(second), s.b), k0), second,
                 hn::Xor(hn::Xor(hn::ShiftRight<32>(first), s.d), k1), first};
  };
  const V c3_wide = hn::BitCast(wide, c3);
  State even = start(c3_wide);
  State odd = start(hn::ShiftRight<32>(c3_wide));
  for (size_t i = 0; i < 10; ++i) {
    const V k0 = hn::Load(wide, round_ + (2 * i) * kLanes);
    const V k1 = hn::Load(wide, round_ + (2 * i + 1) * kLanes);
    even = round(even, k0, k1);
    odd = round(odd, k0, k1);
  }
  const auto join = [&](V of_even, V of_odd) HWY_ATTR {
    return hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(of_odd)), hn::BitCast(d, of_even));
  };
  return {{join(even.a, odd.a), join(even.b, odd.b), join(even.c, odd.c), join(even.d, odd.d)}};
}
#endif

using Keep = hn::Mask<F>;

// Which elements are kept, by the upper (half 0) or lower (half 1) 16 bits of their words.
HWY_INLINE Keep keep(VecU word, int64_t half, int32_t last_dropped) {
  const I di;
  if (half == 1) word = hn::ShiftLeft<16>(word);
  return hn::RebindMask(F(), hn::Gt(hn::BitCast(di, word), hn::Set(di, last_dropped)));
}

// Calls body(i, count, keep) for the vectors of one row's features [0, n), `count` of them valid.
template <typename Body>
HWY_INLINE void for_dropout_row(const DropoutMask& mask, const PhiloxKeys& philox, int64_t row_key,
                                int64_t n, Body&& body) {
  constexpr int64_t kGroup = 128;  // features that 16 counters serve
  const U d;
  const int64_t step = lanes();
  const auto low = static_cast<uint32_t>(row_key);
  const auto high = static_cast<uint32_t>(static_cast<uint64_t>(row_key) >> 32);
  for (int64_t group = 0; group < n; group += kGroup) {
    for (int64_t v = 0; v < 16; v += step) {
      const VecU counter = hn::Iota(d, static_cast<uint32_t>(group / 8 + v));
      const PhiloxWords words = philox(low, high, mask.step, counter);
      for (int64_t half = 0; half < 2; ++half) {
        for (int64_t w = 0; w < 4; ++w) {
          const int64_t i = group + 64 * half + 16 * w + v;
          if (i >= n) break;
          body(i, n - i < step ? n - i : step, keep(words.word[w], half, mask.last_dropped));
        }
      }
    }
  }
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HEDDLE_OPS_PHILOX_INL_H_
