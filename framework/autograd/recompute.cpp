#include "framework/autograd/recompute.h"

#include <utility>

#include "framework/autograd/captured.h"
#include "framework/autograd/record.h"
#include "framework/device/profile.h"

namespace heddle {

Tensor recompute(const std::function<Tensor(const Tensor& x)>& function, const Tensor& x) {
  if (!is_recording()) return function(x);
  Tensor y;
  bool depends = false;
  {
    const NoGrad no_grad;
    const GradientProbe probe;
    y = function(x).detach();
    depends = x.node() != nullptr || probe.found();
  }
  if (!depends) return y;
  // A constant x has no node to record by, though variables inside need gradients.
  const Tensor input = x.node() ? x : variable(x);
  return record(std::move(y), {input},
                [function, x = x.detach(), wanted = x.node() != nullptr,
                 leaves = CapturedLeaves()](const Tensor& dy) {
                  const CapturedLeaves::Scope scope(leaves);
                  const Tensor again = wanted ? variable(x) : x;
                  const Tensor recorded = [&] {
                    const RecomputedSpans spans;
                    return function(again);
                  }();
                  if (recorded.node()) backward(recorded, dy);
                  return wanted ? Gradients{std::move(variable_state(again).gradient)}
                                : Gradients{Gradient()};
                });
}

}  // namespace heddle
