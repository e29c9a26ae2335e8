// One block of memory for all parameters of a model, in the order of the visit, and flat blocks of
// the same layout for optimizer state.
//
//   ParameterArena arena(model, Device::cpu());
//   initialize(arena, seed);
//   Tensor momentum = arena.zeros_flat();
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/nn/module.h"

namespace heddle {

class ParameterArena {
 public:
  // A parameter's place: `numel` floats from `offset` of every flat block.
  struct Entry {
    std::string name;
    Parameter* parameter;
    int64_t offset;
    int64_t numel;
  };

  // Gives every parameter of `module` its memory, contents undefined. `module` must outlive the
  // arena and keep its parameters where they are.
  ParameterArena(Module& module, const Device& device);

  const std::vector<Entry>& entries() const { return entries_; }
  NamedParameters parameters() const;
  const Device& device() const { return flat_.device(); }
  // Floats in a flat block; entries start on multiples of 16, gaps are zero.
  int64_t size() const { return flat_.numel(); }
  // Up to date; until the next step of an optimizer.
  const Tensor& values() const;
  // Brings all tables up to date that an optimizer is behind with: before their values are read
  // or written.
  void apply_pending() const;
  Tensor zeros_flat() const { return Tensor::zeros({size()}, DType::kF32, flat_.device()); }

 private:
  std::vector<Entry> entries_;
  Tensor flat_;
};

// Fills every parameter by its initializer.
void initialize(const ParameterArena& arena, uint64_t seed);
// One parameter of that name; it must have memory.
void initialize(const std::string& name, const Parameter& parameter, uint64_t seed);

}  // namespace heddle
