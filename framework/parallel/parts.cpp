#include "framework/parallel/parts.h"

#include <memory>
#include <utility>

#include "framework/autograd/leaves.h"
#include "framework/ops/linear.h"
#include "framework/parallel/stream.h"

namespace heddle {
namespace {

// The tree over all parts of the group: of all rows, or of this rank's where they are shared.
Tensor sum_over_parts(std::span<const Tensor> parts, const Group& group, const RowShare* rows,
                      const char* name) {
  if (rows && parts.size() == 1) return group.reduce_scatter(parts[0], rows->offsets, name);
  Tensor y = Tensor::empty_like(parts[0]);
  on_device(y.device(), [&](auto on) { kernels::sum_parts(on, parts, y); });
  if (rows) return group.reduce_scatter(y, rows->offsets, name);
  group.all_reduce(y, name);
  return y;
}

constexpr const char* kInput = "a shared input";

// One tensor that the parts of a rank share.
struct Shared {
  std::shared_ptr<const RowShare> rows;  // null: x has all
  Tensor x;                              // this rank's rows
  // Gathered once more for the parts' backward functions, until all have read it.
  Tensor again;
  size_t read = 0;
  // The gradients of the parts. Each comes by a tape entry of its own, in an order that depends on
  // how many there are; their sum does not.
  std::vector<Tensor> gradients;
  size_t arrived = 0;

  Tensor gather_again() {
    if (read == 0) again = gather_rows(x, *rows, kInput);
    if (++read < gradients.size()) return again;
    read = 0;
    return std::move(again);
  }
};

}  // namespace

Parts share(const Tensor& x, const Group& group) {
  const auto count = static_cast<size_t>(group.count());
  if (group.parts() == 1) return {{x}};
  const auto rows = row_share();
  const Tensor whole = rows ? gather_rows(x, *rows, kInput) : x.detach();
  if (!needs_gradient({x})) return {std::vector<Tensor>(count, whole)};
  const auto shared = std::make_shared<Shared>();
  shared->rows = rows;
  shared->x = x.detach();
  shared->gradients.resize(count);
  const Remake again = rows ? Remake([shared] { return shared->gather_again(); }) : Remake();
  Parts parts;
  for (size_t p = 0; p < count; ++p) {
    const auto backward = [shared, group, p](const Tensor& dy) {
      shared->gradients[p] = dy;
      if (++shared->arrived < shared->gradients.size()) return Gradients(1);
      return Gradients{sum_over_parts(shared->gradients, group, shared->rows.get(),
                                      "gradient of a shared input")};
    };
    parts.tensors.push_back(record(whole, {x}, backward, again));
  }
  return parts;
}

Tensor sum(const Parts& parts, const Tensor& bias, const Group& group) {
  const auto rows = row_share();
  Tensor y = sum_over_parts(parts.tensors, group, rows.get(), "sum over parts");
  if (bias.defined()) on_device(y.device(), [&](auto on) { kernels::add_bias(on, bias, y); });
  std::vector<Tensor> inputs = parts.tensors;
  inputs.push_back(bias);
  if (!needs_gradient(inputs)) return y;
  return record(
      y, inputs,
      [count = parts.tensors.size(), bias, rows,
       leaves = leaves_of(parts.tensors[0].dim(0))](const Tensor& dy) {
        const Tensor whole = rows ? gather_rows(dy, *rows, "gradient of a sum over parts") : dy;
        Gradients gradients(count, Gradient(whole));
        gradients.emplace_back();
        if (bias.node()) {
          gradients.back() = gradient_like(bias);
          on_device(dy.device(), [&](auto on) {
            kernels::linear_weight_gradient(on, whole, whole, *leaves, {}, gradients.back().values);
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
