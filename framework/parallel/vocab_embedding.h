// A table of one vector per vocabulary entry, whose rows a group shares (Shoeybi et al. 2019,
// Megatron-LM). The gradient is row-sparse. A row is looked up by who holds it, so the result is
// the same, bit for bit, however the table is cut.
#pragma once

#include <vector>

#include "framework/nn/module.h"
#include "framework/ops/embedding.h"
#include "framework/parallel/group.h"

namespace heddle {

struct VocabEmbeddingOptions {
  float deviation = 0.02f;
  int padding_row = -1;  // a row that stays zero at the start and gets no gradient
};

struct VocabEmbedding : Module {
  VocabEmbedding(int64_t vocabulary, int64_t width, const Group& group,
                 const VocabEmbeddingOptions& options = {});

  // ids i32 [T] -> [T, width]. Rows that an optimizer is behind with are brought up to date first.
  Tensor operator()(const Tensor& ids) const;
  // (word[ids] + type[types]) + position[positions] -> [T, width], as embedding_sum; the tables of
  // types (may be undefined) and positions are whole.
  Tensor sum(const Tensor& ids, const Tensor& position, const Tensor& positions, const Tensor& type,
             const Tensor& types) const;
  void visit(Visitor& v) override;

  std::vector<Parameter> parts;  // of the rows, in order
  int64_t vocabulary;
  int padding_row;
  Group group;

 private:
  void apply_pending(const Tensor& ids) const;
};

namespace kernels {
// y[t] = part[ids[t] - begin] for the tokens whose row is in it; other rows of y stay as they are.
void embedding_part(Cpu, const Tensor& part, int64_t begin, const Tensor& ids, const Tensor& y);
}  // namespace kernels

}  // namespace heddle
