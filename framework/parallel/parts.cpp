#include "framework/parallel/parts.h"

#include <memory>
#include <utility>

#include "framework/autograd/leaves.h"
#include "framework/ops/linear.h"

namespace heddle {
namespace {

Tensor sum_over_parts(std::span<const Tensor> parts, const Group& group, const char* name) {
  Tensor y = Tensor::empty_like(parts[0]);
  on_device(y.device(), [&](auto on) { kernels::sum_parts(on, parts, y); });
  group.all_reduce(y, name);
  return y;
}

// The gradients of the parts of one shared tensor. Each comes by a tape entry of its own, in an
// order that depends on how many there are; their sum does not.
struct Shared {
  std::vector<Tensor> gradients;
  size_t arrived = 0;
};

}  // namespace

Parts share(const Tensor& x, const Group& group) {
  const auto count = static_cast<size_t>(group.count());
  if (group.parts() == 1 || !needs_gradient({x})) return {std::vector<Tensor>(count, x)};
  auto shared = std::make_shared<Shared>();
  shared->gradients.resize(count);
  Parts parts;
  for (size_t p = 0; p < count; ++p) {
    parts.tensors.push_back(record(x.detach(), {x}, [shared, group, p](const Tensor& dy) {
      shared->gradients[p] = dy;
      if (++shared->arrived < shared->gradients.size()) return Gradients(1);
      return Gradients{sum_over_parts(shared->gradients, group, "gradient of a shared input")};
    }));
  }
  return parts;
}

Tensor sum(const Parts& parts, const Tensor& bias, const Group& group) {
  Tensor y = sum_over_parts(parts.tensors, group, "sum over parts");
  if (bias.defined()) on_device(y.device(), [&](auto on) { kernels::add_bias(on, bias, y); });
  std::vector<Tensor> inputs = parts.tensors;
  inputs.push_back(bias);
  if (!needs_gradient(inputs)) return y;
  return record(
      y, inputs,
      [count = parts.tensors.size(), bias, leaves = leaves_of(y.dim(0))](const Tensor& dy) {
        Gradients gradients(count, Gradient(dy));
        gradients.emplace_back();
        if (bias.node()) {
          gradients.back() = gradient_like(bias);
          on_device(dy.device(), [&](auto on) {
            kernels::linear_weight_gradient(on, dy, dy, *leaves, {}, gradients.back().values);
          });
        }
        return gradients;
      });
}

Parts attention(const Parts& qkv, const Segments& segments, const AttentionOptions& options,
                const Group& group) {
  Parts context;
  for (int p = 0; p < group.count(); ++p) {
    const Range heads = split_evenly(options.heads, group.first() + p, group.parts());
    AttentionOptions of_part = options;
    of_part.heads = static_cast<int>(heads.size());
    of_part.first_head = static_cast<int>(heads.begin);
    context.tensors.push_back(attention(qkv.tensors[static_cast<size_t>(p)], segments, of_part));
  }
  return context;
}

}  // namespace heddle
