#include "trainer/sequence_logits.h"

#include <cstring>

#include "datasets/dealing.h"
#include "framework/autograd/record.h"
#include "trainer/batching.h"

namespace heddle {
namespace {

// Tokens of a batch: enough for the matrix products to run at full speed, few enough for their
// results to stay in cache.
constexpr int64_t kBatchTokens = 512;

std::vector<float> floats(const Bytes& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace

std::vector<float> sequence_outputs(const SequenceFunction& function, const Device& device,
                                    const SequenceSource& source, const Mesh& mesh) {
  NoGrad no_grad;
  std::vector<int64_t> lengths;
  lengths.reserve(static_cast<size_t>(source.count));
  for (int64_t i = 0; i < source.count; ++i) lengths.push_back(source.length(i));
  const Deal deal = deal_rows(lengths, {.tokens = kBatchTokens, .ranks = mesh.data().size()});

  std::vector<float> mine;
  PackedSequences packed;
  for (int64_t b : deal.batches_of[static_cast<size_t>(mesh.data().rank())]) {
    packed.clear();
    for (int64_t i : deal.batches[static_cast<size_t>(b)]) source.add_to(packed, i);
    const Tensor outputs = function.run(make_batch(packed, device));
    const auto values = outputs.span<const float>();
    mine.insert(mine.end(), values.begin(), values.end());
  }
  std::vector<std::vector<float>> of_rank;
  for (const Bytes& part : mesh.data().gather_v(std::as_bytes(std::span(mine)), 0, "logits")) {
    of_rank.push_back(floats(part));
  }
  if (!mesh.is_root()) return {};
  return in_input_order(deal, function.width, of_rank);
}

std::vector<float> sequence_logits(const Classifier& model, const Device& device,
                                   const SequenceSource& source, const Mesh& mesh) {
  return sequence_outputs({.width = model.head.out.weight.whole_shape()[0],
                           .run = [&](const Batch& batch) { return model(batch); }},
                          device, source, mesh);
}

}  // namespace heddle
