#include "framework/parallel/gradients.h"

#include <algorithm>

#include "framework/device/profile.h"

namespace heddle {
namespace {

constexpr int64_t kAlignment = 16;  // floats: a cache line

SparseRows to_rows(const Gradient& gradient) {
  SparseRows rows;
  rows.width = gradient.values.dim(1);
  const auto ids = gradient.rows.span<const int32_t>();
  rows.ids.assign(ids.begin(), ids.end());
  const auto values = gradient.values.span<const float>();
  rows.values.assign(values.begin(), values.end());
  return rows;
}

}  // namespace

GradientArena::GradientArena(const ParameterArena& parameters, Communicator& group, bool canonical)
    : group_(group) {
  const auto& all = parameters.entries();
  int64_t sparse_count = 0;
  for (auto entry = all.rbegin(); entry != all.rend(); ++entry) {
    if (!entry->parameter->trainable) continue;
    const bool sparse = entry->parameter->row_sparse;
    entries_.push_back({&*entry, sparse ? sparse_count++ : size_, sparse});
    if (!sparse) size_ += (entry->numel + kAlignment - 1) / kAlignment * kAlignment;
  }
  reducer_ =
      std::make_unique<TreeReducer>(group, size_, TreeReducerOptions{.canonical = canonical});
  accumulator_ = std::make_unique<TreeAccumulator>(reducer_->buffer());
  for (size_t i = 0; i < entries_.size(); ++i) {
    Parameter& parameter = *entries_[i].parameter->parameter;
    parameter.value = variable(parameter.value);
    if (entries_[i].sparse) {
      row_accumulators_.emplace_back(parameter.shape()[1]);
      continue;
    }
    in_dense_[&variable_state(parameter.value)] = dense_.size();
    dense_.push_back(i);
  }
  rows_.resize(row_accumulators_.size());
  expected_.resize(dense_.size());
}

GradientArena::~GradientArena() {
  for (const Entry& entry : entries_) {
    Parameter& parameter = *entry.parameter->parameter;
    parameter.value = parameter.value.detach();
  }
}

void GradientArena::begin(int64_t passes) {
  passes_ = passes;
  reducer_->begin(size_);
  // One pass writes where the sum is to be; several write beside it.
  if (passes > 1 && !pass_.defined()) pass_ = Tensor::zeros({size_});
  float* block = passes > 1 ? pass_.data<float>() : reducer_->buffer().data();
  for (const Entry& entry : entries_) {
    if (entry.sparse) continue;
    const Parameter& parameter = *entry.parameter->parameter;
    auto* memory = reinterpret_cast<std::byte*>(block + entry.offset);
    variable_state(parameter.value).slot =
        Tensor::view({std::shared_ptr<void>(), memory}, parameter.shape(), DType::kF32,
                     parameter.value.device());
  }
}

void GradientArena::begin_pass() {
  for (const Entry& entry : entries_) {
    Variable& state = variable_state(entry.parameter->parameter->value);
    state.gradient = {};
    state.slot_used = false;
  }
  terms_.assign(dense_.size(), 0);
  ready_ = 0;
  early_ = passes_ == 1 && std::ranges::any_of(expected_, [](int terms) { return terms > 0; });
  for (size_t i = 0; early_ && i < dense_.size(); ++i) {
    if (expected_[i] > 0) continue;
    const Parameter& unused = *entries_[dense_[i]].parameter->parameter;
    variable_state(unused.value).slot.fill(0);
  }
  if (early_) pass_on_what_is_ready();
  listener_.emplace([this](const Variable& variable) { arrived(variable); });
}

void GradientArena::arrived(const Variable& variable) {
  const auto found = in_dense_.find(&variable);
  if (found == in_dense_.end()) return;
  const size_t i = found->second;
  ++terms_[i];
  if (!early_) return;
  check(terms_[i] <= expected_[i],
        "[gradients] '{}' got another gradient when its sum had begun. Expected the same model in "
        "every pass.",
        entries_[dense_[i]].parameter->name);
  if (i == ready_) pass_on_what_is_ready();
  reducer_->progress();
}

void GradientArena::pass_on_what_is_ready() {
  while (ready_ < dense_.size() && terms_[ready_] == expected_[ready_]) ++ready_;
  reducer_->ready(ready_ == dense_.size() ? size_ : entries_[dense_[ready_]].offset);
}

void GradientArena::end_pass() {
  listener_.reset();
  collect_dense();
  collect_sparse();
}

void GradientArena::collect_dense() {
  for (size_t i = 0; i < dense_.size(); ++i) {
    expected_[i] = std::max(expected_[i], terms_[i]);
    if (early_ && expected_[i] == 0) continue;  // filled, and perhaps added already
    const Variable& state = variable_state(entries_[dense_[i]].parameter->parameter->value);
    if (!state.gradient.defined()) state.slot.fill(0);
  }
  if (passes_ == 1) return;
  const ProfiledStage span("sum of passes");
  std::ranges::copy(pass_.span<const float>(), accumulator_->next().begin());
  accumulator_->push();
}

void GradientArena::collect_sparse() {
  for (const Entry& entry : entries_) {
    if (!entry.sparse) continue;
    const Gradient& gradient = variable_state(entry.parameter->parameter->value).gradient;
    SparseRows rows;
    rows.width = entry.parameter->parameter->shape()[1];
    if (gradient.defined()) rows = to_rows(gradient);
    row_accumulators_[static_cast<size_t>(entry.offset)].push(std::move(rows));
  }
}

void GradientArena::all_reduce() {
  if (passes_ > 1) accumulator_->finish();
  reducer_->finish("gradients");
  for (size_t i = 0; i < rows_.size(); ++i) {
    rows_[i] = tree_all_reduce_rows(group_, row_accumulators_[i].finish());
  }
}

std::span<float> GradientArena::dense(const Entry& entry) const {
  return reducer_->buffer().subspan(static_cast<size_t>(entry.offset),
                                    static_cast<size_t>(entry.parameter->numel));
}

const SparseRows& GradientArena::sparse(const Entry& entry) const {
  check(entry.sparse, "[gradients] '{}' has a dense gradient.", entry.parameter->name);
  return rows_[static_cast<size_t>(entry.offset)];
}

}  // namespace heddle
