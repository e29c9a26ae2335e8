// What an op that runs a part of the tape later needs to know of now.
#pragma once

#include <memory>
#include <vector>

#include "framework/autograd/leaves.h"

namespace heddle {

// The leaves of this thread at the time it was made and its share of rows, and a scope that brings
// them back.
class CapturedLeaves {
 public:
  CapturedLeaves();

  class Scope {
   public:
    explicit Scope(const CapturedLeaves& captured);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    std::vector<std::shared_ptr<const LeafOffsets>> outer_;
    RowShareScope share_;
  };

 private:
  std::vector<std::shared_ptr<const LeafOffsets>> partitions_;
  std::shared_ptr<const RowShare> share_;
};

// False while a NoGrad is alive on this thread.
bool is_recording();

// Whether an op, since this object was made, had an input that depends on a variable: what was not
// recorded under a NoGrad and would have been.
class GradientProbe {
 public:
  GradientProbe();
  ~GradientProbe();
  GradientProbe(const GradientProbe&) = delete;
  GradientProbe& operator=(const GradientProbe&) = delete;

  bool found() const;

 private:
  bool outer_;
};

}  // namespace heddle
