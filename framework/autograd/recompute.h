// Less memory for more work: a part of a model that is run again in backward() rather than
// remembered (Chen et al. 2016, "Training deep nets with sublinear memory cost").
//
//   Tensor y = recompute([&layer, batch](const Tensor& x) { return layer(x, batch); }, x);
#pragma once

#include <functional>

#include "framework/core/tensor.h"

namespace heddle {

// function(x), of which the tape keeps x alone. backward() calls `function` once more, so it must
// give the same bits again, and all that it refers to must live until then. Gradients have the bits
// that they have without: those of x, and those of the variables that `function` uses, which reach
// them as always. Runs plainly where there is nothing to record.
Tensor recompute(const std::function<Tensor(const Tensor& x)>& function, const Tensor& x);

}  // namespace heddle
