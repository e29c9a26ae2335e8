// Logits of many sequences, shared over ranks: what evaluates in training and what predicts.
//
//   SequenceSource source{.count = data.size(),
//                         .length = [&](int64_t i) { return data.length(i); },
//                         .add_to = [&](PackedSequences& p, int64_t i) { data.add_to(p, i); }};
//   std::vector<float> logits = sequence_logits(model, device, source, mesh);   // on rank 0
//
// Sequences are sorted by length and dealt by tokens. The logits of a sequence are the same bits
// whatever is beside it, on any number of ranks, in training and in serving.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "datasets/packing.h"
#include "framework/parallel/mesh.h"
#include "models/classifier.h"

namespace heddle {

struct SequenceSource {
  int64_t count = 0;
  std::function<int64_t(int64_t i)> length;  // in tokens
  std::function<void(PackedSequences& packed, int64_t i)> add_to;
};

// A model's output for a batch: `width` numbers a sequence, [S, width].
struct SequenceFunction {
  int64_t width = 0;
  std::function<Tensor(const Batch& batch)> run;
};

// [count, width] in the order of the source, on rank 0; empty elsewhere. Collective.
std::vector<float> sequence_outputs(const SequenceFunction& function, const Device& device,
                                    const SequenceSource& source, const Mesh& mesh);

// The logits of a classifier.
std::vector<float> sequence_logits(const Classifier& model, const Device& device,
                                   const SequenceSource& source, const Mesh& mesh);

}  // namespace heddle
