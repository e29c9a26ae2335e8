// Kernels for an instruction set other than this machine's best.
#pragma once

#include "framework/ops/detail/simd_targets.h"
// Highway's own header comes after the choice of targets.
#include <hwy/highway.h>

namespace heddle {

// While one is alive, kernels run for this instruction set.
class ForcedTarget {
 public:
  explicit ForcedTarget(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  ~ForcedTarget() {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  ForcedTarget(const ForcedTarget&) = delete;
  ForcedTarget& operator=(const ForcedTarget&) = delete;
};

}  // namespace heddle
