#include "framework/optim/optimizer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "framework/optim/sgd.h"
#include "framework/optim/sum_of_squares.h"
#include "framework/parallel/tree.h"

namespace heddle {
namespace {

constexpr int64_t kAlignment = 16;  // floats: a cache line

// A block of 65,536 elements of some gradient.
struct Block {
  std::span<const float> values;
  int64_t begin;
};

void append_blocks(std::span<const float> values, std::vector<Block>& blocks) {
  const auto size = static_cast<int64_t>(values.size());
  for (int64_t begin = 0; begin < size; begin += kSquareBlock) {
    const int64_t count = std::min(kSquareBlock, size - begin);
    blocks.push_back(
        {values.subspan(static_cast<size_t>(begin), static_cast<size_t>(count)), begin});
  }
}

}  // namespace

Optimizer::Optimizer(const ParameterArena& parameters, GradientArena& gradients,
                     Communicator& group, OptimizerOptions options)
    : parameters_(parameters), gradients_(gradients), group_(group), options_(std::move(options)) {
  int64_t size = 0;
  for (const GradientArena::Entry& gradient : gradients.entries()) {
    const ParameterArena::Entry& entry = *gradient.parameter;
    OptimizerOptions::Group of_entry;
    if (options_.group) of_entry = options_.group(entry.name, *entry.parameter);
    entries_.push_back({gradient, size, of_entry});
    size += (entry.numel + kAlignment - 1) / kAlignment * kAlignment;
  }
  const auto add_state = [&](const char* name) {
    states_.push_back({name, Tensor::zeros({size}, DType::kF32, parameters.device())});
  };
  if (options_.kind == OptimizerOptions::Kind::kAdamW) {
    add_state("adam_m");
    add_state("adam_v");
    for (const Entry& entry : entries_) {
      if (!entry.gradient.sparse) continue;
      at_rest_.resize(std::max(at_rest_.size(), static_cast<size_t>(entry.gradient.offset) + 1));
      at_rest_[static_cast<size_t>(entry.gradient.offset)].assign(
          static_cast<size_t>(entry.gradient.parameter->parameter->shape()[0]), 1);
    }
  } else if (options_.momentum > 0) {
    add_state("momentum");
  }
}

double Optimizer::gradient_norm(double samples) {
  std::vector<Block> blocks;
  for (const Entry& entry : entries_) {
    if (entry.gradient.sparse)
      append_blocks(gradients_.sparse(entry.gradient).values, blocks);
    else
      append_blocks(gradients_.dense(entry.gradient), blocks);
  }
  // The ranks share the blocks; who adds a block does not change its sum.
  const size_t count = blocks.size();
  const auto rank = static_cast<size_t>(group_.rank());
  const auto ranks = static_cast<size_t>(group_.size());
  std::vector<double> mine;
  for (size_t b = count * rank / ranks; b < count * (rank + 1) / ranks; ++b) {
    on_device(parameters_.device(), [&](auto on) {
      for (double sum : kernels::sum_of_squares(on, blocks[b].values, blocks[b].begin)) {
        mine.push_back(sum);
      }
    });
  }
  std::vector<double> sums;
  for (const Bytes& part : group_.all_gather_v(std::as_bytes(std::span(mine)), "gradient norm")) {
    const size_t begin = sums.size();
    sums.resize(begin + part.size() / sizeof(double));
    if (!part.empty()) std::memcpy(sums.data() + begin, part.data(), part.size());
  }
  return std::sqrt(tree_sum(sums)) / samples;
}

void Optimizer::step(double rate, double norm, double samples) {
  ++steps_;
  double scale = 1 / samples;
  // As torch.nn.utils.clip_grad_norm_.
  if (options_.clip > 0) scale *= std::min(1.0, options_.clip / (norm + 1e-6));
  for (const Entry& entry : entries_) {
    const AdamWStep step = {.lr = rate * entry.group.rate,
                            .beta1 = options_.beta1,
                            .beta2 = options_.beta2,
                            .eps = options_.eps,
                            .weight_decay = entry.group.weight_decay,
                            .step = steps_,
                            .gradient_scale = static_cast<float>(scale)};
    if (entry.gradient.sparse)
      update_rows(entry, step);
    else
      update(entry, step);
  }
}

void Optimizer::update(const Entry& entry, const AdamWStep& step) {
  apply(entry.gradient.parameter->parameter->value.span<float>(), gradients_.dense(entry.gradient),
        entry.offset, step);
}

// Rows without a gradient decay, and move by what is left of earlier gradients.
void Optimizer::update_rows(const Entry& entry, const AdamWStep& step) {
  if (options_.kind != OptimizerOptions::Kind::kAdamW) return apply_sgd_rows(entry, step);
  const SparseRows& rows = gradients_.sparse(entry.gradient);
  std::vector<uint8_t>& at_rest = at_rest_[static_cast<size_t>(entry.gradient.offset)];
  on_device(parameters_.device(), [&](auto on) {
    kernels::adamw_update_rows(on,
                               {.weight = entry.gradient.parameter->parameter->value.span<float>(),
                                .m = state(0, entry),
                                .v = state(1, entry),
                                .width = rows.width,
                                .ids = rows.ids,
                                .gradient = rows.values,
                                .at_rest = at_rest},
                               step);
  });
  for (const int64_t id : rows.ids) at_rest[static_cast<size_t>(id)] = 0;
}

void Optimizer::apply_sgd_rows(const Entry& entry, const AdamWStep& step) {
  const SparseRows& rows = gradients_.sparse(entry.gradient);
  const std::span<float> weight = entry.gradient.parameter->parameter->value.span<float>();
  const int64_t width = rows.width;
  const auto part = [&](int64_t begin, int64_t end) {
    return weight.subspan(static_cast<size_t>(begin * width),
                          static_cast<size_t>((end - begin) * width));
  };
  const auto between = [&](int64_t begin, int64_t end) {
    if (begin == end) return;
    const std::vector<float> zeros(static_cast<size_t>((end - begin) * width));
    apply(part(begin, end), zeros, entry.offset + begin * width, step);
  };
  int64_t done = 0;
  for (size_t i = 0; i < rows.ids.size(); ++i) {
    const int64_t id = rows.ids[i];
    between(done, id);
    apply(part(id, id + 1), rows.row(i), entry.offset + id * width, step);
    done = id + 1;
  }
  between(done, entry.gradient.parameter->parameter->shape()[0]);
}

void Optimizer::set_steps(int64_t steps) {
  steps_ = steps;
  if (at_rest_.empty()) return;
  for (const Entry& entry : entries_) {
    if (entry.gradient.sparse) find_rows_at_rest(entry);
  }
}

void Optimizer::find_rows_at_rest(const Entry& entry) {
  const auto width = static_cast<size_t>(entry.gradient.parameter->parameter->shape()[1]);
  std::vector<uint8_t>& at_rest = at_rest_[static_cast<size_t>(entry.gradient.offset)];
  const auto is_zero = [&](const State& s, size_t row) {
    const auto all = s.values.span<const float>();
    const auto values = all.subspan(static_cast<size_t>(entry.offset) + row * width, width);
    return std::ranges::all_of(values, [](float v) { return std::bit_cast<uint32_t>(v) == 0; });
  };
  for (size_t row = 0; row < at_rest.size(); ++row) {
    at_rest[row] = is_zero(states_[0], row) && is_zero(states_[1], row);
  }
}

std::span<float> Optimizer::state(size_t i, const Entry& entry) const {
  return states_[i].values.span<float>().subspan(
      static_cast<size_t>(entry.offset), static_cast<size_t>(entry.gradient.parameter->numel));
}

void Optimizer::apply(std::span<float> weight, std::span<const float> gradient, int64_t offset,
                      const AdamWStep& step) {
  const auto state = [&](size_t i) {
    return states_[i].values.span<float>().subspan(static_cast<size_t>(offset), weight.size());
  };
  on_device(parameters_.device(), [&](auto on) {
    if (options_.kind == OptimizerOptions::Kind::kAdamW) {
      kernels::adamw_update(on, weight, gradient, state(0), state(1), step);
    } else {
      const std::span<float> velocity = states_.empty() ? std::span<float>() : state(0);
      kernels::sgd_update(on, weight, gradient, velocity,
                          {.lr = step.lr,
                           .momentum = options_.momentum,
                           .weight_decay = step.weight_decay,
                           .gradient_scale = step.gradient_scale});
    }
  });
}

}  // namespace heddle
