#include "trainer/batching.h"

#include <vector>

#include "framework/device/profile.h"

namespace heddle {
namespace {

constexpr int kPositionBits = 16;

Tensor tensor(const std::vector<int32_t>& values, const Device& device) {
  return Tensor::from<int32_t>(values, {static_cast<int64_t>(values.size())}, device);
}

}  // namespace

Batch make_batch(const PackedSequences& packed, const Device& device) {
  const ProfiledStage span("pack batch");
  Batch batch;
  batch.ids = tensor(packed.ids, device);
  batch.positions = tensor(packed.positions, device);
  batch.token_types = tensor(packed.token_types, device);
  batch.segments = Segments::from(packed.segments, device);

  std::vector<int64_t> tokens, sequences;
  tokens.reserve(packed.ids.size());
  for (int64_t s = 0; s < packed.sequences(); ++s) {
    const int64_t key = packed.samples[static_cast<size_t>(s)] << kPositionBits;
    sequences.push_back(key);
    for (int64_t p = 0; p < batch.segments.length(s); ++p) tokens.push_back(key | p);
  }
  batch.token_keys = Tensor::from<int64_t>(tokens, {packed.tokens()}, device);
  batch.sequence_keys = Tensor::from<int64_t>(sequences, {packed.sequences()}, device);
  return batch;
}

}  // namespace heddle
