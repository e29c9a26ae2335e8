#include "framework/parallel/vocab_embedding.h"

#include <algorithm>
#include <utility>

namespace heddle {
namespace {

// A row that is not here. x + (-0) is x for every x, of either sign.
constexpr float kNothing = -0.0f;

// A part's slice of the rows [begin, begin + extent) of a gradient whose rows are sorted.
Gradient slice(const Gradient& whole, const Shard& shard) {
  if (whole.rows.device().is_meta()) return whole;
  const auto rows = whole.rows.span<const int32_t>();
  const auto first = std::ranges::lower_bound(rows, static_cast<int32_t>(shard.begin));
  const auto last =
      std::ranges::lower_bound(first, rows.end(), static_cast<int32_t>(shard.begin + shard.extent));
  std::vector<int32_t> local;
  for (auto row = first; row != last; ++row) {
    local.push_back(*row - static_cast<int32_t>(shard.begin));
  }
  const auto count = static_cast<int64_t>(local.size());
  return {Tensor::from<int32_t>(local, {count}, whole.rows.device()),
          whole.values.rows(first - rows.begin(), last - rows.begin()).clone()};
}

}  // namespace

VocabEmbedding::VocabEmbedding(int64_t vocabulary, int64_t width, const Group& group,
                               const VocabEmbeddingOptions& options)
    : vocabulary(vocabulary), padding_row(options.padding_row), group(group) {
  for (int p = group.first(); p < group.first() + group.count(); ++p) {
    const Range range = split_evenly(vocabulary, p, group.parts());
    parts.emplace_back(
        Shape{vocabulary, width},
        Initializer{Initializer::Kind::kNormal, options.deviation, options.padding_row},
        Shard{.dim = 0, .begin = range.begin, .extent = range.size()});
    parts.back().row_sparse = true;
  }
}

void VocabEmbedding::apply_pending(const Tensor& ids) const {
  for (const Parameter& part : parts) {
    if (part.pending) part.apply_pending(ids.span<const int32_t>());
  }
}

Tensor VocabEmbedding::operator()(const Tensor& ids) const {
  const ProfiledModule span(path);
  apply_pending(ids);
  if (group.parts() == 1) return embedding(parts[0].value, ids, padding_row);
  const Tensor& first = parts[0].value;
  Tensor y = Tensor::empty({ids.dim(0), first.dim(1)}, first.dtype(), first.device());
  on_device(y.device(), [&](auto on) {
    kernels::check_indices(on, ids, vocabulary, "word");
    y.fill(kNothing);
    for (const Parameter& part : parts) {
      kernels::embedding_part(on, part.value, part.shard().begin, ids, y);
    }
  });
  group.all_reduce(y, "word embeddings");
  std::vector<Tensor> inputs;
  std::vector<Shard> shards;
  for (const Parameter& part : parts) {
    inputs.push_back(part.value);
    shards.push_back(part.shard());
  }
  return record(y, inputs, [ids, shards, padding_row = padding_row](const Tensor& dy) {
    Gradient whole(ids.detach(), dy.detach());
    on_device(dy.device(),
              [&](auto on) { whole = kernels::embedding_backward(on, ids, dy, padding_row); });
    Gradients gradients;
    for (const Shard& shard : shards) gradients.push_back(slice(whole, shard));
    return gradients;
  });
}

Tensor VocabEmbedding::sum(const Tensor& ids, const Tensor& position, const Tensor& positions,
                           const Tensor& type, const Tensor& types) const {
  const ProfiledModule span(path);
  if (group.parts() == 1) {
    apply_pending(ids);
    return embedding_sum(
        {.word = parts[0].value, .position = position, .type = type, .padding_row = padding_row},
        ids, positions, types);
  }
  return add_embeddings((*this)(ids), position, positions, type, types);
}

void VocabEmbedding::visit(Visitor& v) {
  for (Parameter& part : parts) v("weight", part);
}

}  // namespace heddle
