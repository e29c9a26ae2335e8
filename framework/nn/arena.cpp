#include "framework/nn/arena.h"

#include <algorithm>

#include "framework/core/random.h"
#include "framework/nn/shard.h"

namespace heddle {
namespace {

constexpr int64_t kAlignment = 16;  // floats: a cache line

int64_t align(int64_t count) {
  return (count + kAlignment - 1) / kAlignment * kAlignment;
}

// A view of part of a flat tensor, keeping its memory alive.
Tensor part(const Tensor& flat, int64_t offset, const Shape& shape) {
  return flat.rows(offset, offset + shape.numel()).reshape(shape);
}

}  // namespace

ParameterArena::ParameterArena(Module& module, const Device& device) {
  int64_t offset = 0;
  for (const auto& [name, parameter] : named_parameters(module)) {
    const int64_t numel = parameter->shape().numel();
    entries_.push_back({name, parameter, offset, numel});
    offset += align(numel);
  }
  flat_ = Tensor::zeros({offset}, DType::kF32, device);
  for (const Entry& entry : entries_) {
    entry.parameter->value = part(flat_, entry.offset, entry.parameter->shape());
  }
}

const Tensor& ParameterArena::values() const {
  apply_pending();
  return flat_;
}

void ParameterArena::apply_pending() const {
  for (const Entry& entry : entries_) entry.parameter->apply_pending();
}

NamedParameters ParameterArena::parameters() const {
  NamedParameters parameters;
  for (const Entry& entry : entries_) parameters.emplace_back(entry.name, entry.parameter);
  return parameters;
}

void initialize(const std::string& name, const Parameter& parameter, uint64_t seed) {
  const Tensor& value = parameter.value;
  if (value.device().is_meta()) return;
  const Initializer& how = parameter.initializer();
  if (how.kind != Initializer::Kind::kNormal) {
    value.fill(how.kind == Initializer::Kind::kOnes ? 1.0f : 0.0f);
    return;
  }
  const int64_t row = parameter.whole_shape().numel() / parameter.whole_shape()[0];
  const int64_t zero_begin = how.zero_row * row;
  for_each_run(parameter, [&](ShardRun run) {
    const std::span<float> values =
        value.span<float>().subspan(static_cast<size_t>(run.local), static_cast<size_t>(run.count));
    fill_normal(values, seed, name_stream(name), run.whole, how.deviation);
    if (how.zero_row < 0) return;
    const int64_t first = std::max(zero_begin - run.whole, int64_t{0});
    const int64_t last = std::min(zero_begin + row - run.whole, run.count);
    if (first < last) std::fill(values.begin() + first, values.begin() + last, 0.0f);
  });
}

void initialize(const ParameterArena& arena, uint64_t seed) {
  for (const ParameterArena::Entry& entry : arena.entries())
    initialize(entry.name, *entry.parameter, seed);
}

}  // namespace heddle
