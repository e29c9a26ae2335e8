#include "framework/ops/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/ops/attention_cpu.cpp"
#include "framework/ops/detail/simd_targets.h"
// Highway includes this file again for each instruction set.
#include <hwy/foreach_target.h>

#include <algorithm>
#include <limits>
#include <numbers>
#include <optional>
#include <vector>

#include "framework/device/allocator.h"
#include "framework/ops/detail/amx.h"
#include "framework/ops/detail/attention-inl.h"
#include "framework/ops/detail/attention_bf16-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

int64_t attention_scratch(const AttentionUnit<float>& unit, bool backward) {
  return backward ? backward_floats(unit) : forward_floats(unit);
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(attention_scratch);
HWY_EXPORT(attention_forward);
HWY_EXPORT(attention_backward);
HWY_EXPORT(attention_on_tiles);
HWY_EXPORT(attention_bf16_scratch);
HWY_EXPORT(attention_bf16_forward);
HWY_EXPORT(attention_bf16_backward);

namespace {

using kernels::AttentionGradients;
using kernels::AttentionInputs;
using kernels::AttentionMatrix;
using kernels::AttentionShape;

// What is done for units of each element type, so many heads of a sequence at a time.
template <typename T>
struct Kernels;

template <>
struct Kernels<float> {
  static constexpr int64_t kMostHeads = 1;
  static bool on_tiles(int64_t) { return false; }
  static int64_t scratch(const AttentionUnit<float>& unit, bool backward) {
    return HWY_DYNAMIC_DISPATCH(attention_scratch)(unit, backward);
  }
  static void forward(const AttentionUnit<float>& unit, int64_t, float* scratch) {
    HWY_DYNAMIC_DISPATCH(attention_forward)(unit, scratch);
  }
  static void backward(const AttentionUnit<float>& unit, int64_t, float* scratch) {
    HWY_DYNAMIC_DISPATCH(attention_backward)(unit, scratch);
  }
};

template <>
struct Kernels<BFloat16> {
  static constexpr int64_t kMostHeads = std::numeric_limits<int64_t>::max();
  static bool on_tiles(int64_t head_dim) {
    return HWY_DYNAMIC_DISPATCH(attention_on_tiles)(head_dim);
  }
  static int64_t scratch(const AttentionUnit<BFloat16>& unit, bool backward) {
    return HWY_DYNAMIC_DISPATCH(attention_bf16_scratch)(unit, backward);
  }
  static void forward(const AttentionUnit<BFloat16>& unit, int64_t heads, float* scratch) {
    HWY_DYNAMIC_DISPATCH(attention_bf16_forward)(unit, heads, scratch);
  }
  static void backward(const AttentionUnit<BFloat16>& unit, int64_t heads, float* scratch) {
    HWY_DYNAMIC_DISPATCH(attention_bf16_backward)(unit, heads, scratch);
  }
};

template <typename T>
AttentionMatrix<T> at(const AttentionMatrix<T>& m, int64_t row, int64_t column) {
  return {m.data ? m.data + row * m.stride + column : nullptr, m.stride};
}

template <typename T>
AttentionUnit<T> make_unit(const AttentionShape& shape, const AttentionInputs<T>& inputs,
                           int64_t segment, int64_t head) {
  const AttentionOptions& options = shape.options;
  const int64_t query = shape.queries.begin(segment);
  const int64_t key = shape.keys.begin(segment);
  const int64_t column = head * shape.head_dim;
  AttentionUnit<T> unit{};
  unit.queries = shape.queries.length(segment);
  unit.keys = shape.keys.length(segment);
  unit.query_rows = shape.queries.rows() - query;
  unit.key_rows = shape.keys.rows() - key;
  unit.head_dim = shape.head_dim;
  unit.scale = options.scale * std::numbers::log2e_v<float>;
  unit.derivative = options.scale;
  unit.causal = options.causal;
  unit.q = at(inputs.q, query, column);
  unit.k = at(inputs.k, key, column);
  unit.v = at(inputs.v, key, column);
  if (options.dropout.active()) {
    unit.mask = DropoutMask(options.dropout, RandomPurpose::kAttentionDropout);
    unit.mask.row_keys += query;
    unit.seed = options.dropout.seed;
    unit.head = uint64_t{static_cast<uint32_t>(options.dropout.layer)} << 32 |
                static_cast<uint32_t>(options.first_head + head);
    unit.draw_by_head();
  }
  return unit;
}

// Runs of units (segment, head) that are worth a task each, by the work in them.
struct Task {
  int64_t begin, end;
};

std::vector<Task> make_tasks(Cpu on, const AttentionShape& shape) {
  constexpr int64_t kLeastWork = 200000;  // multiply-adds, some ten microseconds
  const int64_t heads = shape.options.heads;
  const auto work = [&](int64_t s) {
    return shape.queries.length(s) * (shape.keys.length(s) + 8) * shape.head_dim * 2;
  };
  int64_t total = 0;
  for (int64_t s = 0; s < shape.queries.count(); ++s) total += heads * work(s);
  const int64_t share = on.threads() == 1 ? total : total / (8 * on.threads());
  const int64_t enough = std::max(kLeastWork, share);
  std::vector<Task> tasks;
  int64_t filled = enough;
  for (int64_t s = 0; s < shape.queries.count(); ++s) {
    if (shape.queries.length(s) == 0) continue;
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t unit = s * heads + head;
      if (filled >= enough) {
        tasks.push_back({unit, unit});
        filled = 0;
      }
      tasks.back().end = unit + 1;
      filled += work(s);
    }
  }
  return tasks;
}

// Asks for the rows of a short unit, which the hardware does not foresee: they are far apart.
template <typename T>
void prefetch(const AttentionMatrix<T>& m, int64_t rows, int64_t head_dim) {
  constexpr int64_t kLine = 64 / sizeof(T);
  if (rows > 64) return;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < head_dim; c += kLine) __builtin_prefetch(m.data + row * m.stride + c);
  }
}

// Calls run(unit, segment, head, count, scratch), of `count` heads from that one on, until all
// units of a task are done, for all tasks.
template <typename T, typename Run>
void for_units(Cpu on, const AttentionShape& shape, const AttentionInputs<T>& inputs, bool backward,
               Run&& run) {
  const std::vector<Task> tasks = make_tasks(on, shape);
  const bool on_tiles = Kernels<T>::on_tiles(shape.head_dim);
  const int64_t heads = shape.options.heads;
  on.parallel_for(static_cast<int64_t>(tasks.size()), [&](int64_t t) {
    const Task& task = tasks[static_cast<size_t>(t)];
    std::optional<AmxTiles> tiles;
    if (on_tiles) tiles.emplace();
    std::shared_ptr<std::byte> scratch;
    int64_t room = 0;
    for (int64_t i = task.begin, count = 1; i < task.end; i += count) {
      const int64_t segment = i / heads, head = i % heads;
      count = std::min({heads - head, task.end - i, Kernels<T>::kMostHeads});
      if (shape.queries.length(segment) == 0) continue;
      AttentionUnit<T> unit = make_unit(shape, inputs, segment, head);
      const int64_t needed = Kernels<T>::scratch(unit, backward);
      if (needed > room) {
        scratch.reset();
        scratch = allocate(needed * static_cast<int64_t>(sizeof(float)));
        room = needed;
      }
      if (i + count < task.end) {
        const int64_t next = (i + count) / heads, column = (i + count) % heads * shape.head_dim;
        prefetch(at(inputs.q, shape.queries.begin(next), column), shape.queries.length(next),
                 shape.head_dim);
        for (const AttentionMatrix<T>& m : {inputs.k, inputs.v}) {
          prefetch(at(m, shape.keys.begin(next), column), shape.keys.length(next), shape.head_dim);
        }
      }
      run(unit, segment, head, count, reinterpret_cast<float*>(scratch.get()));
    }
  });
}

}  // namespace

namespace kernels {

template <typename T>
void attention(Cpu on, const AttentionShape& shape, const AttentionInputs<T>& inputs,
               AttentionMatrix<T> output, float* statistics) {
  const int64_t heads = shape.options.heads;
  const auto run = [&](AttentionUnit<T>& unit, int64_t segment, int64_t head, int64_t count,
                       float* scratch) {
    const int64_t row = shape.queries.begin(segment);
    unit.output = at(output, row, head * shape.head_dim);
    unit.statistics = statistics ? statistics + 2 * (row * heads + head) : nullptr;
    unit.statistics_stride = 2 * heads;
    Kernels<T>::forward(unit, count, scratch);
  };
  for_units(on, shape, inputs, false, run);
}

template <typename T>
void attention_backward(Cpu on, const AttentionShape& shape, const AttentionInputs<T>& inputs,
                        const float* statistics, AttentionMatrix<T> doutput,
                        const AttentionGradients<T>& gradients) {
  const int64_t heads = shape.options.heads;
  const auto run = [&](AttentionUnit<T>& unit, int64_t segment, int64_t head, int64_t count,
                       float* scratch) {
    const int64_t row = shape.queries.begin(segment);
    const int64_t key = shape.keys.begin(segment);
    const int64_t column = head * shape.head_dim;
    unit.output = at(doutput, row, column);
    unit.statistics = const_cast<float*>(statistics) + 2 * (row * heads + head);
    unit.statistics_stride = 2 * heads;
    unit.dq = at(gradients.dq, row, column);
    unit.dk = at(gradients.dk, key, column);
    unit.dv = at(gradients.dv, key, column);
    Kernels<T>::backward(unit, count, scratch);
  };
  for_units(on, shape, inputs, true, run);
}

template void attention(Cpu, const AttentionShape&, const AttentionInputs<float>&,
                        AttentionMatrix<float>, float*);
template void attention(Cpu, const AttentionShape&, const AttentionInputs<BFloat16>&,
                        AttentionMatrix<BFloat16>, float*);
template void attention_backward(Cpu, const AttentionShape&, const AttentionInputs<float>&,
                                 const float*, AttentionMatrix<float>,
                                 const AttentionGradients<float>&);
template void attention_backward(Cpu, const AttentionShape&, const AttentionInputs<BFloat16>&,
                                 const float*, AttentionMatrix<BFloat16>,
                                 const AttentionGradients<BFloat16>&);

}  // namespace kernels
}  // namespace heddle
#endif  // HWY_ONCE
