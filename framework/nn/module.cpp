#include "framework/nn/module.h"

#include <algorithm>
#include <array>
#include <map>

#include "framework/core/error.h"

namespace heddle {

Parameter::Parameter(const Shape& whole, const Initializer& initializer, const Shard& shard)
    : whole_(whole), initializer_(initializer), shard_(shard) {
  const bool fits = shard.dim >= 0 && shard.dim < whole.ndim() && shard.blocks >= 1 &&
                    whole[shard.dim] % shard.blocks == 0 && shard.begin >= 0 && shard.extent >= 0 &&
                    shard.begin + shard.extent <= whole[shard.dim] / shard.blocks;
  check(fits, "[parameter] dim {}, {} from {} of each of {} blocks: no shard of {}", shard.dim,
        shard.extent, shard.begin, shard.blocks, whole);
}

Shape Parameter::shape() const {
  std::array<int64_t, Shape::kMaxDims> dims{};
  std::copy(whole_.begin(), whole_.end(), dims.begin());
  dims[static_cast<size_t>(shard_.dim)] = shard_.blocks * shard_.extent;
  return Shape(std::span<const int64_t>(dims.data(), static_cast<size_t>(whole_.ndim())));
}

void Visitor::operator()(std::string_view name, Parameter& parameter) {
  if (!parameter.exists()) return;
  on_parameter(prefix_ + std::string(name), parameter);
}

void Visitor::operator()(std::string_view name, Module& module) {
  const size_t outer = prefix_.size();
  prefix_ += name;
  on_module(prefix_, module);
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
  std::map<std::string, int64_t> wholes;  // several shards of one tensor have one name
  for (const auto& [name, parameter] : named_parameters(module)) {
    wholes[name] = parameter->whole_shape().numel();
  }
  int64_t count = 0;
  for (const auto& [name, elements] : wholes) count += elements;
  return count;
}

void name_modules(Module& module) {
  struct Name : Visitor {
    void on_parameter(const std::string&, Parameter&) override {}
    void on_module(const std::string& path, Module& module) override { module.path = path; }
  } name;
  module.visit(name);
}

void pack_weights(Module& module, Precision precision) {
  for (const auto& [name, parameter] : named_parameters(module)) {
    if (!parameter->multiplies) continue;
    parameter->packed = PackedWeight::forward(parameter->value, PackedWeight::kManyRows, precision);
    parameter->value = {};
  }
}

void copy_tables(Module& module) {
  for (const auto& [name, parameter] : named_parameters(module)) {
    if (parameter->row_sparse) parameter->value = parameter->value.clone();
  }
}

}  // namespace heddle
