// A table of one vector per vocabulary entry, whose rows a group shares. The gradient is
// row-sparse.
#pragma once

#include "framework/nn/module.h"
#include "framework/parallel/group.h"

namespace heddle {

struct VocabEmbeddingOptions {
  float deviation = 0.02f;
  int padding_row = -1;  // a row that stays zero at the start and gets no gradient
};

struct VocabEmbedding : Module {
  VocabEmbedding(int64_t vocabulary, int64_t width, const Group& group,
                 const VocabEmbeddingOptions& options = {});

  // ids i32 [T] -> [T, width].
  Tensor operator()(const Tensor& ids) const;
  void visit(Visitor& v) override;

  Parameter weight;
  int padding_row;
};

}  // namespace heddle
