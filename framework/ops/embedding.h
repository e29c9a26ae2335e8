// Rows of a table by index, and the sum of a BERT's three tables.
//
//   Tensor x = embedding(table, ids, padding_row);
//   Tensor x = embedding_sum({.word = w, .position = p, .type = t}, ids, positions, types);
#pragma once

#include "framework/autograd/record.h"

namespace heddle {

// table [V, H], ids i32 [T] -> [T, H]. The gradient is row-sparse: for each id that occurs, the
// leaves' sums over its tokens (in row order) merged by the tree. Row `padding_row` gets none, as
// in Hugging Face's models. An id outside the table is refused.
Tensor embedding(const Tensor& table, const Tensor& ids, int padding_row = -1);

struct EmbeddingTables {
  Tensor word;           // [V, H]; row-sparse gradient
  Tensor position;       // [P, H]; dense gradient
  Tensor type{};         // [K, H] or undefined; dense gradient
  int padding_row = -1;  // of word
};

// (word[ids] + type[types]) + position[positions] -> [T, H]. All indices i32 [T]; `types` is not
// read if there is no such table.
Tensor embedding_sum(const EmbeddingTables& tables, const Tensor& ids, const Tensor& positions,
                     const Tensor& types);

// The same where the words have been looked up: (x + type[types]) + position[positions]; x [T, H].
Tensor add_embeddings(const Tensor& x, const Tensor& position, const Tensor& positions,
                      const Tensor& type, const Tensor& types);

namespace kernels {

// Throws if an index is outside a table of so many rows; `table` names it.
void check_indices(Cpu, const Tensor& indices, int64_t rows, const char* table);

// y = table[ids]; indices have been checked.
void embedding(Cpu, const Tensor& table, const Tensor& ids, Tensor& y);
void embedding_sum(Cpu, const EmbeddingTables& tables, const Tensor& ids, const Tensor& positions,
                   const Tensor& types, Tensor& y);

// The gradient of a table as sorted unique rows and values [n, H].
Gradient embedding_backward(Cpu, const Tensor& ids, const Tensor& dy, int padding_row);
// The same as a whole table: rows that do not occur are zero.
void embedding_backward_dense(Cpu, const Tensor& ids, const Tensor& dy, Tensor& dtable);

}  // namespace kernels
}  // namespace heddle
