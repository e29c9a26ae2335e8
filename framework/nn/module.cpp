#include "framework/nn/module.h"

#include <algorithm>
#include <array>

namespace heddle {

Shape Parameter::shape() const {
  std::array<int64_t, Shape::kMaxDims> dims{};
  std::copy(whole_.begin(), whole_.end(), dims.begin());
  dims[static_cast<size_t>(shard_.dim)] = shard_.extent;
  return Shape(std::span<const int64_t>(dims.data(), static_cast<size_t>(whole_.ndim())));
}

void Visitor::operator()(std::string_view name, Parameter& parameter) {
  if (!parameter.exists()) return;
  on_parameter(prefix_ + std::string(name), parameter);
}

void Visitor::operator()(std::string_view name, Module& module) {
  const size_t outer = prefix_.size();
  prefix_ += name;
  prefix_ += '.';
  module.visit(*this);
  prefix_.resize(outer);
}

NamedParameters named_parameters(Module& module) {
  struct Collect : Visitor {
    NamedParameters found;
    void on_parameter(const std::string& name, Parameter& parameter) override {
      found.emplace_back(name, &parameter);
    }
  } collect;
  module.visit(collect);
  return std::move(collect.found);
}

int64_t count_parameters(Module& module) {
  int64_t count = 0;
  for (const auto& [name, parameter] : named_parameters(module)) {
    count += parameter->whole_shape().numel();
  }
  return count;
}

void pack_weights(Module& module) {
  for (const auto& [name, parameter] : named_parameters(module)) {
    if (!parameter->multiplies) continue;
    parameter->packed = PackedWeight::forward(parameter->value);
    parameter->value = {};
  }
}

}  // namespace heddle
