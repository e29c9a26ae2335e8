#include "framework/optim/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "framework/device/allocator.h"
#include "framework/device/profile.h"
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

// Entries are in reverse order of the parameters, and so are the parts of a tensor.
std::vector<size_t> order_of_norm(std::span<const Optimizer::Entry> entries) {
  std::vector<size_t> order;
  for (size_t begin = 0, end = 0; begin < entries.size(); begin = end) {
    const std::string& name = entries[begin].gradient.parameter->name;
    while (end < entries.size() && entries[end].gradient.parameter->name == name) ++end;
    for (size_t i = end; i > begin; --i) order.push_back(i - 1);
  }
  return order;
}

template <typename T>
void append(const Bytes& bytes, std::vector<T>& values) {
  const size_t begin = values.size();
  values.resize(begin + bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data() + begin, bytes.data(), bytes.size());
}

}  // namespace

Optimizer::Optimizer(const ParameterArena& parameters, GradientArena& gradients,
                     const OptimizerRanks& ranks, OptimizerOptions options)
    : parameters_(parameters), gradients_(gradients), ranks_(ranks), options_(std::move(options)) {
  for (const GradientArena::Entry& gradient : gradients.entries()) {
    const Tensor& value = gradient.parameter->parameter->value;
    weights_.push_back(
        {size_, value.device().is_meta() ? std::span<float>() : value.span<float>()});
    size_ += (gradient.parameter->numel + kAlignment - 1) / kAlignment * kAlignment;
  }
  bounds_ = owned_bounds(size_, options_.shard_state ? ranks.data.size() : 1);
  for (int64_t& bound : bounds_) keep_rows_together(bound);
  const auto rank = static_cast<size_t>(options_.shard_state ? ranks.data.rank() : 0);
  const int64_t owned_begin = bounds_[rank], owned_end = bounds_[rank + 1];
  for (size_t i = 0; i < weights_.size(); ++i) {
    const GradientArena::Entry& gradient = gradients.entries()[i];
    const ParameterArena::Entry& entry = *gradient.parameter;
    const int64_t place = weights_[i].offset;
    const int64_t first = std::clamp(owned_begin - place, int64_t{0}, entry.numel);
    const int64_t last = std::clamp(owned_end - place, first, entry.numel);
    OptimizerOptions::Group of_entry;
    if (options_.group) of_entry = options_.group(entry.name, *entry.parameter);
    const int64_t offset = first < last ? place + first - owned_begin : 0;
    entries_.push_back({gradient, first, last, offset, of_entry});
  }
  in_norm_ = order_of_norm(entries_);
  const auto add_state = [&](const char* name) {
    const Tensor state = Tensor::zeros({owned_end - owned_begin}, DType::kF32, parameters.device());
    states_.push_back({name, state});
    if (state.device().is_meta()) return;
    for (const Entry& entry : entries_) {
      if (!entry.gradient.sparse) continue;
      expect_few_writes(std::as_writable_bytes(state.span<float>().subspan(
          static_cast<size_t>(entry.offset), static_cast<size_t>(entry.last - entry.first))));
    }
  };
  if (options_.kind == OptimizerOptions::Kind::kAdamW) {
    add_state("adam_m");
    add_state("adam_v");
    if (!parameters.device().is_meta()) make_tables();
  } else if (options_.momentum > 0) {
    add_state("momentum");
  }
}

Optimizer::~Optimizer() {
  for (const auto& table : tables_) table->apply();
  for (const Entry& entry : entries_) entry.gradient.parameter->parameter->pending = nullptr;
}

void Optimizer::make_tables() {
  for (const Entry& entry : entries_) {
    if (!entry.gradient.sparse) continue;
    Parameter& parameter = *entry.gradient.parameter->parameter;
    const int64_t width = parameter.shape()[1];
    tables_.push_back(std::make_unique<LazyAdamW>(
        LazyAdamW::Table{.weight = owned_weights(entry),
                         .m = state(0, entry),
                         .v = state(1, entry),
                         .width = width,
                         .first_row = parameter.shard().begin + entry.first / width},
        parameters_.device()));
    parameter.pending = tables_.back().get();
  }
}

const std::vector<Optimizer::State>& Optimizer::states() const {
  for (const auto& table : tables_) table->apply();
  return states_;
}

// A row of a table whose gradient is row-sparse has one owner.
void Optimizer::keep_rows_together(int64_t& bound) const {
  for (size_t i = 0; i < weights_.size(); ++i) {
    const GradientArena::Entry& gradient = gradients_.entries()[i];
    const int64_t in = bound - weights_[i].offset;
    if (!gradient.sparse || in < 0 || in >= gradient.parameter->numel) continue;
    bound -= in % gradient.parameter->parameter->shape()[1];
  }
}

double Optimizer::gradient_norm(double samples) {
  std::vector<int64_t> counts;
  std::vector<double> sums = square_sums(counts);
  if (ranks_.tensor) sums = with_other_parts(sums, counts);
  return std::sqrt(tree_sum(sums)) / samples;
}

// Of each block of this rank's parts; counts[i] blocks are of entry in_norm_[i].
std::vector<double> Optimizer::square_sums(std::vector<int64_t>& counts) {
  const ProfiledSpan span("gradient norm");
  std::vector<Block> blocks;
  for (const size_t i : in_norm_) {
    const Entry& entry = entries_[i];
    const size_t before = blocks.size();
    if (entry.gradient.sparse)
      append_blocks(gradients_.sparse(entry.gradient).values, blocks);
    else
      append_blocks(gradients_.dense(entry.gradient), blocks);
    counts.push_back(static_cast<int64_t>(blocks.size() - before));
  }
  // The ranks share the blocks; who adds a block does not change its sum.
  const size_t count = blocks.size();
  const auto rank = static_cast<size_t>(ranks_.data.rank());
  const auto ranks = static_cast<size_t>(ranks_.data.size());
  std::vector<double> mine;
  for (size_t b = count * rank / ranks; b < count * (rank + 1) / ranks; ++b) {
    count_work({.moved_bytes = static_cast<double>(blocks[b].values.size_bytes())});
    on_device(parameters_.device(), [&](auto on) {
      for (double sum : kernels::sum_of_squares(on, blocks[b].values, blocks[b].begin)) {
        mine.push_back(sum);
      }
    });
  }
  std::vector<double> sums;
  for (const Bytes& part :
       ranks_.data.all_gather_v(std::as_bytes(std::span(mine)), "gradient norm")) {
    append<double>(part, sums);
  }
  return sums;
}

// The sums of all parts in one order: tensor by tensor, part by part. What every rank of the tensor
// group holds whole counts once.
std::vector<double> Optimizer::with_other_parts(std::span<const double> sums,
                                                std::span<const int64_t> counts) {
  std::vector<std::vector<int64_t>> counts_of;
  for (const Bytes& part : ranks_.tensor->all_gather_v(std::as_bytes(counts), "gradient norm")) {
    append<int64_t>(part, counts_of.emplace_back());
  }
  std::vector<std::vector<double>> sums_of;
  for (const Bytes& part : ranks_.tensor->all_gather_v(std::as_bytes(sums), "gradient norm")) {
    append<double>(part, sums_of.emplace_back());
  }
  std::vector<size_t> done(sums_of.size());  // sums taken from each rank
  std::vector<double> all;
  for (size_t begin = 0, end = 0; begin < in_norm_.size(); begin = end) {
    const ParameterArena::Entry& tensor = *entries_[in_norm_[begin]].gradient.parameter;
    for (end = begin; end < in_norm_.size(); ++end) {
      if (entries_[in_norm_[end]].gradient.parameter->name != tensor.name) break;
    }
    const bool whole = tensor.parameter->shape() == tensor.parameter->whole_shape();
    for (size_t r = 0; r < sums_of.size(); ++r) {
      const auto count =
          static_cast<size_t>(std::reduce(counts_of[r].begin() + static_cast<ptrdiff_t>(begin),
                                          counts_of[r].begin() + static_cast<ptrdiff_t>(end)));
      const auto from = sums_of[r].begin() + static_cast<ptrdiff_t>(done[r]);
      if (r == 0 || !whole) all.insert(all.end(), from, from + static_cast<ptrdiff_t>(count));
      done[r] += count;
    }
  }
  return all;
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
  if (!options_.shard_state || ranks_.data.size() == 1) return;
  for (const auto& table : tables_) table->apply();  // every rank reads all rows at once
  all_gather_owned(ranks_.data, bounds_, weights_);
}

void Optimizer::update(const Entry& entry, const AdamWStep& step) {
  const auto first = static_cast<size_t>(entry.first);
  const auto count = static_cast<size_t>(entry.last - entry.first);
  update_span(entry, 0, gradients_.dense(entry.gradient).subspan(first, count), step);
}

void Optimizer::update_span(const Entry& entry, int64_t begin, std::span<const float> gradient,
                            const AdamWStep& step) {
  if (gradient.empty()) return;
  const auto part = [&](std::span<float> all) {
    return all.subspan(static_cast<size_t>(begin), gradient.size());
  };
  const bool adamw = options_.kind == OptimizerOptions::Kind::kAdamW;
  const ProfiledSpan span(adamw ? "adamw" : "sgd");
  // Gradient; weight and states, which are written, too.
  const double passes = 3 + 2 * static_cast<double>(states_.size());
  count_work({.moved_bytes = passes * static_cast<double>(gradient.size_bytes())});
  on_device(parameters_.device(), [&](auto on) {
    if (adamw) {
      kernels::adamw_update(on, part(owned_weights(entry)), gradient, part(state(0, entry)),
                            part(state(1, entry)), step);
    } else {
      kernels::sgd_update(on, part(owned_weights(entry)), gradient,
                          states_.empty() ? std::span<float>() : part(state(0, entry)),
                          {.lr = step.lr,
                           .momentum = options_.momentum,
                           .weight_decay = step.weight_decay,
                           .gradient_scale = step.gradient_scale});
    }
  });
}

void Optimizer::update_rows(const Entry& entry, const AdamWStep& step) {
  if (entry.first == entry.last) return;
  const SparseRows& all = gradients_.sparse(entry.gradient);
  const int64_t width = all.width;
  const int64_t first = entry.first / width;
  const auto begin = std::ranges::lower_bound(all.ids, first);
  const auto end = std::lower_bound(begin, all.ids.end(), entry.last / width);
  std::vector<int64_t> ids;  // of owned rows, from the first of them
  for (auto id = begin; id != end; ++id) ids.push_back(*id - first);
  const std::span<const float> values =
      std::span(all.values)
          .subspan(static_cast<size_t>((begin - all.ids.begin()) * width),
                   static_cast<size_t>((end - begin) * width));
  if (options_.kind == OptimizerOptions::Kind::kAdamW)
    tables_[static_cast<size_t>(entry.gradient.offset)]->step(ids, values, step);
  else
    sgd_rows(entry, ids, values, step);
}

void Optimizer::sgd_rows(const Entry& entry, std::span<const int64_t> ids,
                         std::span<const float> values, const AdamWStep& step) {
  const size_t width = ids.empty() ? 0 : values.size() / ids.size();
  const auto still = [&](int64_t begin, int64_t end) {
    update_span(entry, begin, std::vector<float>(static_cast<size_t>(end - begin)), step);
  };
  int64_t done = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    const int64_t begin = ids[i] * static_cast<int64_t>(width);
    still(done, begin);
    update_span(entry, begin, values.subspan(i * width, width), step);
    done = begin + static_cast<int64_t>(width);
  }
  still(done, entry.last - entry.first);
}

void Optimizer::set_steps(int64_t steps) {
  steps_ = steps;
  for (const auto& table : tables_) table->look_again();
}

std::span<float> Optimizer::owned_weights(const Entry& entry) const {
  return entry.gradient.parameter->parameter->value.span<float>().subspan(
      static_cast<size_t>(entry.first), static_cast<size_t>(entry.last - entry.first));
}

std::span<float> Optimizer::state(size_t i, const Entry& entry) const {
  return states_[i].values.span<float>().subspan(static_cast<size_t>(entry.offset),
                                                 static_cast<size_t>(entry.last - entry.first));
}

}  // namespace heddle
