#include "framework/ops/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/ops/attention_cpu.cpp"
#include "framework/ops/detail/simd_targets.h"
// Highway includes this file again for each instruction set.
#include <hwy/foreach_target.h>

#include <numbers>
#include <vector>

#include "framework/device/allocator.h"
#include "framework/ops/detail/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

int64_t attention_scratch(const AttentionUnit& unit, bool backward) {
  return backward ? backward_floats(unit) : forward_floats(unit);
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(attention_scratch);
HWY_EXPORT(attention_forward);
HWY_EXPORT(attention_backward);

namespace {

using kernels::AttentionMatrix;
using kernels::AttentionShape;

AttentionMatrix at(const AttentionMatrix& m, int64_t row, int64_t column) {
  return {m.data ? m.data + row * m.stride + column : nullptr, m.stride};
}

AttentionUnit make_unit(const AttentionShape& shape, const kernels::AttentionInputs& inputs,
                        int64_t segment, int64_t head) {
  const AttentionOptions& options = shape.options;
  const int64_t query = shape.queries.begin(segment);
  const int64_t key = shape.keys.begin(segment);
  const int64_t column = head * shape.head_dim;
  AttentionUnit unit{};
  unit.queries = shape.queries.length(segment);
  unit.keys = shape.keys.length(segment);
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
    const auto layer = static_cast<uint32_t>(options.dropout.layer);
    unit.mask.key =
        philox_key(options.dropout.seed, RandomPurpose::kAttentionDropout,
                   uint64_t{layer} << 32 | static_cast<uint32_t>(options.first_head + head));
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
void prefetch(const AttentionMatrix& m, int64_t rows, int64_t head_dim) {
  constexpr int64_t kLine = 16;  // floats
  if (rows > 64) return;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < head_dim; c += kLine) __builtin_prefetch(m.data + row * m.stride + c);
  }
}

// Calls run(unit, segment, head, scratch) for every unit of a task, for all tasks.
template <typename Run>
void for_units(Cpu on, const AttentionShape& shape, const kernels::AttentionInputs& inputs,
               bool backward, Run&& run) {
  const std::vector<Task> tasks = make_tasks(on, shape);
  const int64_t heads = shape.options.heads;
  on.parallel_for(static_cast<int64_t>(tasks.size()), [&](int64_t t) {
    const Task& task = tasks[static_cast<size_t>(t)];
    std::shared_ptr<std::byte> scratch;
    int64_t room = 0;
    for (int64_t i = task.begin; i < task.end; ++i) {
      const int64_t segment = i / heads;
      if (shape.queries.length(segment) == 0) continue;
      AttentionUnit unit = make_unit(shape, inputs, segment, i % heads);
      const int64_t needed = HWY_DYNAMIC_DISPATCH(attention_scratch)(unit, backward);
      if (needed > room) {
        scratch.reset();
        scratch = allocate(needed * static_cast<int64_t>(sizeof(float)));
        room = needed;
      }
      if (i + 1 < task.end) {
        const int64_t next = (i + 1) / heads, column = (i + 1) % heads * shape.head_dim;
        prefetch(at(inputs.q, shape.queries.begin(next), column), shape.queries.length(next),
                 shape.head_dim);
        for (const AttentionMatrix& m : {inputs.k, inputs.v}) {
          prefetch(at(m, shape.keys.begin(next), column), shape.keys.length(next), shape.head_dim);
        }
      }
      run(unit, segment, i % heads, reinterpret_cast<float*>(scratch.get()));
    }
  });
}

}  // namespace

namespace kernels {

void attention(Cpu on, const AttentionShape& shape, const AttentionInputs& inputs,
               AttentionMatrix output, float* statistics) {
  const int64_t heads = shape.options.heads;
  const auto run = [&](AttentionUnit& unit, int64_t segment, int64_t head, float* scratch) {
    const int64_t row = shape.queries.begin(segment);
    unit.output = at(output, row, head * shape.head_dim);
    unit.statistics = statistics ? statistics + 2 * (row * heads + head) : nullptr;
    unit.statistics_stride = 2 * heads;
    HWY_DYNAMIC_DISPATCH(attention_forward)(unit, scratch);
  };
  for_units(on, shape, inputs, false, run);
}

void attention_backward(Cpu on, const AttentionShape& shape, const AttentionInputs& inputs,
                        const float* statistics, AttentionMatrix doutput,
                        const AttentionGradients& gradients) {
  const int64_t heads = shape.options.heads;
  const auto run = [&](AttentionUnit& unit, int64_t segment, int64_t head, float* scratch) {
    const int64_t row = shape.queries.begin(segment);
    const int64_t key = shape.keys.begin(segment);
    const int64_t column = head * shape.head_dim;
    unit.output = at(doutput, row, column);
    unit.statistics = const_cast<float*>(statistics) + 2 * (row * heads + head);
    unit.statistics_stride = 2 * heads;
    unit.dq = at(gradients.dq, row, column);
    unit.dk = at(gradients.dk, key, column);
    unit.dv = at(gradients.dv, key, column);
    HWY_DYNAMIC_DISPATCH(attention_backward)(unit, scratch);
  };
  for_units(on, shape, inputs, true, run);
}

}  // namespace kernels
}  // namespace heddle
#endif  // HWY_ONCE
