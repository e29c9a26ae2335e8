// An activation that a group shares: one tensor for each part of this rank (group.h). What enters
// a sharded block is the whole activation, and so is what leaves it; or this rank's rows of it,
// where a StreamScope (stream.h) is alive: then they are gathered, and the sum is scattered.
//
//   Parts h = share(x, group);                   // backward: the sum of the parts' gradients
//   for (Tensor& part : h.tensors) part = …;     // each part alone
//   Tensor y = sum(h, bias, group);              // backward: the same gradient for every part
//
// (Shoeybi et al. 2019, Megatron-LM, the conjugate operators f and g; Korthikanti et al. 2022, g
// and its conjugate for split rows.)
#pragma once

#include <vector>

#include "framework/ops/attention.h"
#include "framework/parallel/group.h"

namespace heddle {

struct Parts {
  std::vector<Tensor> tensors;
};

// x [T, H] for each part. Of a split stream x is this rank's rows: an op that would keep the whole
// for its gradient gathers it once more instead.
Parts share(const Tensor& x, const Group& group);

// The tree's sum over all parts of the group, [T, H], plus bias [H] if there is one; of a split
// stream, this rank's rows of it.
Tensor sum(const Parts& parts, const Tensor& bias, const Group& group);

// Attention with each part's heads. qkv: [T, 3 * heads of the part * head_dim] each;
// `options.heads` is that of the whole model, and first_head is not read.
Parts attention(const Parts& qkv, const Segments& segments, const AttentionOptions& options,
                const Group& group);

namespace kernels {
// y = tree over parts; all of one shape. y may be the first.
void sum_parts(Cpu, std::span<const Tensor> parts, const Tensor& y);
// y [T, H] += bias [H].
void add_bias(Cpu, const Tensor& bias, const Tensor& y);
}  // namespace kernels

}  // namespace heddle
