#include "framework/parallel/vocab_cross_entropy.h"

#include <utility>

namespace heddle {
namespace {

// What another rank knows. x + (-0) is x for every x, of either sign.
constexpr float kNothing = -0.0f;

void check_shapes(const Parts& logits, const Tensor& labels,
                  const VocabCrossEntropyOptions& options, const Group& group) {
  check(logits.tensors.size() == static_cast<size_t>(group.count()),
        "[vocab_cross_entropy] logits of {} parts. Expected {}.", logits.tensors.size(),
        group.count());
  check(labels.defined() && labels.dtype() == DType::kI32 && labels.ndim() == 1,
        "[vocab_cross_entropy] labels are {} {}. Expected i32 [T].", name_of(labels.dtype()),
        labels.shape());
  for (int p = 0; p < group.count(); ++p) {
    const Shape& shape = logits.tensors[static_cast<size_t>(p)].shape();
    const Shape expected{labels.dim(0),
                         split_evenly(options.vocabulary, group.first() + p, group.parts()).size()};
    check(shape == expected, "[vocab_cross_entropy] logits of part {} have shape {}. Expected {}.",
          group.first() + p, shape, expected);
  }
}

// The slices of this rank's parts, without gradient.
std::vector<kernels::VocabSlice> slices_of(const Parts& logits, const Tensor& labels,
                                           int64_t vocabulary, const Group& group) {
  std::vector<kernels::VocabSlice> slices;
  for (int p = 0; p < group.count(); ++p) {
    slices.push_back({logits.tensors[static_cast<size_t>(p)].detach(),
                      split_evenly(vocabulary, group.first() + p, group.parts()).begin, labels});
  }
  return slices;
}

}  // namespace

Loss vocab_cross_entropy_sum(const Parts& logits, const Tensor& labels,
                             const VocabCrossEntropyOptions& options, const Group& group) {
  check_shapes(logits, labels, options, group);
  const Device& device = labels.device();
  const int64_t rows = labels.dim(0);
  std::vector<kernels::VocabSlice> slices = slices_of(logits, labels, options.vocabulary, group);
  const Tensor table =
      Tensor::empty({rows, group.parts(), kernels::kVocabNumbers}, DType::kF32, device);
  on_device(device, [&](auto on) {
    table.fill(kNothing);
    for (size_t p = 0; p < slices.size(); ++p) {
      kernels::vocab_statistics(on, slices[p], group.first() + static_cast<int>(p), table);
    }
  });
  group.all_reduce(table, "vocabulary cross-entropy");
  const Tensor softmax = Tensor::empty({rows, 2}, DType::kF32, device);
  Loss loss;
  loss.sum = Tensor::zeros({1}, DType::kF32, device);
  on_device(device, [&](auto on) {
    loss.value = kernels::vocab_cross_entropy(on, table, labels, options, softmax);
    kernels::set_scalar(on, loss.sum, loss.value);
  });
  loss.sum =
      record(loss.sum, logits.tensors, [slices = std::move(slices), softmax](const Tensor& dy) {
        Gradients gradients;
        for (const kernels::VocabSlice& slice : slices) {
          gradients.emplace_back(Tensor::empty_like(slice.logits));
          on_device(dy.device(), [&](auto on) {
            kernels::vocab_cross_entropy_backward(on, slice, softmax, dy, gradients.back().values);
          });
        }
        return gradients;
      });
  return loss;
}

}  // namespace heddle
