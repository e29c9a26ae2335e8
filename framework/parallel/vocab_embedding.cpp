#include "framework/parallel/vocab_embedding.h"

#include "framework/ops/embedding.h"

namespace heddle {

VocabEmbedding::VocabEmbedding(int64_t vocabulary, int64_t width, const Group& group,
                               const VocabEmbeddingOptions& options)
    : weight({vocabulary, width},
             {Initializer::Kind::kNormal, options.deviation, options.padding_row}),
      padding_row(options.padding_row) {
  check(group.size == 1, "[vocab_embedding] a group of {}: not yet. Expected 1.", group.size);
  weight.row_sparse = true;
}

Tensor VocabEmbedding::operator()(const Tensor& ids) const {
  return embedding(weight.value, ids, padding_row);
}

void VocabEmbedding::visit(Visitor& v) { v("weight", weight); }

}  // namespace heddle
