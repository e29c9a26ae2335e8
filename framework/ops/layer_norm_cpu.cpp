#include "framework/ops/layer_norm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/ops/layer_norm_cpu.cpp"
#include "framework/ops/detail/simd_targets.h"
// Highway includes this file again for each instruction set.
#include <hwy/foreach_target.h>

#include <cmath>
#include <span>
#include <vector>

#include "framework/autograd/leaves.h"
#include "framework/ops/detail/element_type.h"
#include "framework/ops/detail/leaf_tree.h"
#include "framework/ops/detail/parallel_rows.h"
#include "framework/ops/detail/philox-inl.h"

#ifndef HEDDLE_OPS_LAYER_NORM_CPU_
#define HEDDLE_OPS_LAYER_NORM_CPU_
namespace heddle {

// T is the type of the rows: float or BFloat16.
template <typename T>
struct LayerNormForward {
  const T *x, *residual;
  const float *gamma, *beta;
  float eps;
  int64_t n;
  DropoutMask mask;
  T* z;
  float* statistics;
  T* y;
};

template <typename T>
struct LayerNormBackward {
  const T *dy, *z;
  const float *statistics, *gamma;
  int64_t n;
  DropoutMask mask;
  T *dx, *dresidual;
};

}  // namespace heddle
#endif

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

// The sum of term(load) over the vectors of [0, n): four chains, then their lanes.
template <typename Term>
HWY_INLINE float sum_of(int64_t n, Term&& term) {
  const F d;
  const int64_t step = lanes();
  Vec s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  const auto whole = [&](int64_t i) HWY_ATTR {
    return term([&](const auto* p) HWY_ATTR { return load_whole(p + i); }, step);
  };
  int64_t i = 0;
  for (; i + 4 * step <= n; i += 4 * step) {
    s0 = hn::Add(s0, whole(i));
    s1 = hn::Add(s1, whole(i + step));
    s2 = hn::Add(s2, whole(i + 2 * step));
    s3 = hn::Add(s3, whole(i + 3 * step));
  }
  for (; i + step <= n; i += step) s0 = hn::Add(s0, whole(i));
  if (i < n) {
    s1 = hn::Add(s1, term([&](const auto* p) HWY_ATTR { return load_part(p + i, n - i); }, n - i));
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
}

// z = mask(x) / (1 - p) + residual, of one row.
template <typename T>
HWY_INLINE void make_z(const LayerNormForward<T>& a, const PhiloxKeys& philox, int64_t row, T* z) {
  const F d;
  const T* x = a.x + row * a.n;
  const T* residual = a.residual ? a.residual + row * a.n : nullptr;
  if (!a.mask.active()) {
    for_vectors(a.n, [&](int64_t, auto load, auto store)
                         HWY_ATTR { store(hn::Add(load(x), load(residual)), z); });
    return;
  }
  const Vec scale = hn::Set(d, a.mask.scale);
  for_dropout_row(a.mask, philox, a.mask.row_keys[row], a.n,
                  [&](int64_t i, int64_t count, Keep kept) HWY_ATTR {
                    const bool whole = count == lanes();
                    const auto load = [&](const T* p) HWY_ATTR {
                      return whole ? load_whole(p + i) : load_part(p + i, count);
                    };
                    Vec v = hn::IfThenElseZero(kept, hn::Mul(load(x), scale));
                    if (residual) v = hn::Add(v, load(residual));
                    if (whole)
                      store_whole(v, z + i);
                    else
                      store_part(v, z + i, count);
                  });
}

template <typename T>
HWY_INLINE void layer_norm_of(const LayerNormForward<T>& a, int64_t begin, int64_t end) {
  const F d;
  const bool plain = !a.residual && !a.mask.active();
  const PhiloxKeys philox(a.mask.key);
  const float inverse = 1.0f / static_cast<float>(a.n);
  for (int64_t row = begin; row < end; ++row) {
    T* y = a.y + row * a.n;
    const T* z = a.x + row * a.n;
    if (!plain) {
      T* made = a.z ? a.z + row * a.n : y;
      make_z(a, philox, row, made);
      z = made;
    }
    const float mean = sum_of(a.n, [&](auto load, int64_t) HWY_ATTR { return load(z); }) * inverse;
    const Vec m = hn::Set(d, mean);
    const float squares = sum_of(a.n, [&](auto load, int64_t count) HWY_ATTR {
      const Vec deviation = hn::Sub(load(z), m);
      const Vec square = hn::Mul(deviation, deviation);
      if (count == lanes()) return square;
      return hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(count)), square);
    });
    const float reciprocal = 1.0f / std::sqrt(squares * inverse + a.eps);
    const Vec r = hn::Set(d, reciprocal);
    for_vectors(a.n, [&](int64_t, auto load, auto store) HWY_ATTR {
      const Vec normal = hn::Mul(hn::Sub(load(z), m), r);
      store(hn::MulAdd(normal, load(a.gamma), load(a.beta)), y);
    });
    if (a.statistics) {
      a.statistics[2 * row] = mean;
      a.statistics[2 * row + 1] = reciprocal;
    }
  }
}

// Rows [begin, end): their dx and dresidual, and (if not null) their sums for dgamma and dbeta.
template <typename T>
HWY_INLINE void layer_norm_backward_of(const LayerNormBackward<T>& a, int64_t begin, int64_t end,
                                       float* dgamma, float* dbeta) {
  const F d;
  const PhiloxKeys philox(a.mask.key);
  const float inverse = 1.0f / static_cast<float>(a.n);
  for (int64_t row = begin; row < end; ++row) {
    const T* dy = a.dy + row * a.n;
    const T* z = a.z + row * a.n;
    const Vec m = hn::Set(d, a.statistics[2 * row]);
    const Vec r = hn::Set(d, a.statistics[2 * row + 1]);
    if (dgamma) {
      for_vectors(a.n, [&](int64_t, auto load, auto store) HWY_ATTR {
        const Vec g = load(dy);
        const Vec normal = hn::Mul(hn::Sub(load(z), m), r);
        store(hn::MulAdd(g, normal, load(dgamma)), dgamma);
        store(hn::Add(g, load(dbeta)), dbeta);
      });
    }
    T* to = a.dresidual ? a.dresidual : a.dx;
    if (!to) continue;
    to += row * a.n;
    const float sum = sum_of(a.n, [&](auto load, int64_t) HWY_ATTR {
      return hn::Mul(load(dy), load(a.gamma));  // zero beyond the row
    });
    const float product = sum_of(a.n, [&](auto load, int64_t) HWY_ATTR {
      const Vec g = hn::Mul(load(dy), load(a.gamma));
      return hn::Mul(g, hn::Mul(hn::Sub(load(z), m), r));
    });
    const Vec c1 = hn::Set(d, sum * inverse);
    const Vec c2 = hn::Set(d, product * inverse);
    for_vectors(a.n, [&](int64_t, auto load, auto store) HWY_ATTR {
      const Vec g = hn::Mul(load(dy), load(a.gamma));
      const Vec normal = hn::Mul(hn::Sub(load(z), m), r);
      store(hn::Mul(r, hn::NegMulAdd(normal, c2, hn::Sub(g, c1))), to);
    });
    if (!a.mask.active() || !a.dx) continue;
    T* dx = a.dx + row * a.n;
    const Vec scale = hn::Set(d, a.mask.scale);
    for_dropout_row(a.mask, philox, a.mask.row_keys[row], a.n,
                    [&](int64_t i, int64_t count, Keep kept) HWY_ATTR {
                      if (count == lanes()) {
                        const Vec v = hn::Mul(load_whole(to + i), scale);
                        store_whole(hn::IfThenElseZero(kept, v), dx + i);
                      } else {
                        const Vec v = hn::Mul(load_part(to + i, count), scale);
                        store_part(hn::IfThenElseZero(kept, v), dx + i, count);
                      }
                    });
  }
}

void layer_norm_f32(const LayerNormForward<float>& a, int64_t begin, int64_t end) {
  layer_norm_of(a, begin, end);
}

void layer_norm_bf16(const LayerNormForward<BFloat16>& a, int64_t begin, int64_t end) {
  layer_norm_of(a, begin, end);
}

void layer_norm_backward_f32(const LayerNormBackward<float>& a, int64_t begin, int64_t end,
                             float* dgamma, float* dbeta) {
  layer_norm_backward_of(a, begin, end, dgamma, dbeta);
}

void layer_norm_backward_bf16(const LayerNormBackward<BFloat16>& a, int64_t begin, int64_t end,
                              float* dgamma, float* dbeta) {
  layer_norm_backward_of(a, begin, end, dgamma, dbeta);
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(layer_norm_f32);
HWY_EXPORT(layer_norm_bf16);
HWY_EXPORT(layer_norm_backward_f32);
HWY_EXPORT(layer_norm_backward_bf16);

namespace {

void layer_norm_rows(const LayerNormForward<float>& a, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(layer_norm_f32)(a, begin, end);
}
void layer_norm_rows(const LayerNormForward<BFloat16>& a, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(layer_norm_bf16)(a, begin, end);
}
void layer_norm_backward_rows(const LayerNormBackward<float>& a, int64_t begin, int64_t end,
                              float* dgamma, float* dbeta) {
  HWY_DYNAMIC_DISPATCH(layer_norm_backward_f32)(a, begin, end, dgamma, dbeta);
}
void layer_norm_backward_rows(const LayerNormBackward<BFloat16>& a, int64_t begin, int64_t end,
                              float* dgamma, float* dbeta) {
  HWY_DYNAMIC_DISPATCH(layer_norm_backward_bf16)(a, begin, end, dgamma, dbeta);
}

// Columns [begin, end) of `sums` [runs, width].
void merge_columns(std::span<const RowRun> runs, int64_t leaves, const float* sums, int64_t width,
                   int64_t begin, int64_t end, float* out) {
  const int64_t columns = end - begin;
  std::vector<float> of_leaves(static_cast<size_t>(leaves * columns), 0.0f);
  for (size_t r = 0; r < runs.size(); ++r) {
    float* sum = of_leaves.data() + runs[r].leaf * columns;
    const float* part = sums + static_cast<int64_t>(r) * width + begin;
    for (int64_t c = 0; c < columns; ++c) sum[c] += part[c];
  }
  merge_leaf_rows(of_leaves.data(), leaves, columns);
  std::copy_n(of_leaves.data(), columns, out);
}

template <typename T>
void normalise_rows(Cpu on, const Tensor& x, const Tensor& residual,
                    const LayerNormParameters& norm, const Dropout& dropout,
                    const kernels::LayerNormSaved& saved, Tensor& y) {
  const LayerNormForward<T> a{.x = x.data<T>(),
                              .residual = data_or_null<T>(residual),
                              .gamma = norm.gamma.data<float>(),
                              .beta = norm.beta.data<float>(),
                              .eps = norm.eps,
                              .n = x.dim(1),
                              .mask = DropoutMask(dropout, RandomPurpose::kDropout),
                              .z = data_or_null<T>(saved.z),
                              .statistics = data_or_null<float>(saved.statistics),
                              .y = y.data<T>()};
  parallel_rows(on, x.dim(0), 4 * a.n,
                [&](int64_t begin, int64_t end) { layer_norm_rows(a, begin, end); });
}

template <typename T>
void normalise_rows_backward(Cpu on, const Tensor& dy, const kernels::LayerNormSaved& saved,
                             const LayerNormParameters& norm, const Dropout& dropout,
                             std::span<const RowRun> runs,
                             const kernels::LayerNormGradients& gradients) {
  const LayerNormBackward<T> a{.dy = dy.data<T>(),
                               .z = saved.z.data<T>(),
                               .statistics = saved.statistics.data<float>(),
                               .gamma = norm.gamma.data<float>(),
                               .n = dy.dim(1),
                               .mask = DropoutMask(dropout, RandomPurpose::kDropout),
                               .dx = data_or_null<T>(gradients.dx),
                               .dresidual = data_or_null<T>(gradients.dresidual)};
  if (!gradients.sums.defined()) {
    parallel_rows(on, dy.dim(0), 4 * a.n, [&](int64_t begin, int64_t end) {
      layer_norm_backward_rows(a, begin, end, nullptr, nullptr);
    });
    return;
  }
  const auto count = static_cast<int64_t>(runs.size());
  if (count == 0) return;
  const int64_t first = runs.front().begin;
  parallel_rows(on, count, 4 * dy.numel() / count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float* sums = gradients.sums.data<float>() + r * 2 * a.n;
      const RowRun& run = runs[static_cast<size_t>(r)];
      layer_norm_backward_rows(a, run.begin - first, run.end - first, sums, sums + a.n);
    }
  });
}

}  // namespace

namespace kernels {

void layer_norm(Cpu on, const Tensor& x, const Tensor& residual, const LayerNormParameters& norm,
                const Dropout& dropout, const LayerNormSaved& saved, Tensor& y) {
  with_type(x.dtype(),
            [&]<typename T>(T) { normalise_rows<T>(on, x, residual, norm, dropout, saved, y); });
}

void layer_norm_backward(Cpu on, const Tensor& dy, const LayerNormSaved& saved,
                         const LayerNormParameters& norm, const Dropout& dropout,
                         std::span<const RowRun> runs, const LayerNormGradients& gradients) {
  with_type(dy.dtype(), [&]<typename T>(T) {
    normalise_rows_backward<T>(on, dy, saved, norm, dropout, runs, gradients);
  });
}

void layer_norm_merge(Cpu on, const LeafOffsets& leaves, const Tensor& sums, const Tensor& dgamma,
                      const Tensor& dbeta) {
  const std::vector<RowRun> runs = row_runs(leaves);
  const auto leaf_count = static_cast<int64_t>(leaves.size()) - 1;
  const int64_t n = dgamma.numel();
  const auto merge = [&](int64_t offset, const Tensor& out) {
    parallel_rows(on, n, static_cast<int64_t>(runs.size()), [&](int64_t begin, int64_t end) {
      merge_columns(runs, leaf_count, sums.data<float>(), 2 * n, offset + begin, offset + end,
                    out.data<float>() + begin);
    });
  };
  merge(0, dgamma);
  merge(n, dbeta);
}

}  // namespace kernels
}  // namespace heddle
#endif  // HWY_ONCE
