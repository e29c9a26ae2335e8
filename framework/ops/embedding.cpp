#include "framework/ops/embedding.h"

#include <numeric>
#include <vector>

#include "framework/device/profile.h"
#include "framework/ops/detail/bytes_of.h"

namespace heddle {
namespace {

void check_table(const Tensor& table, const Tensor& ids, const char* name) {
  check(table.defined() && table.ndim() == 2 && table.dim(0) > 0,
        "[embedding] the {} table has shape {}. Expected [rows, H].", name, table.shape());
  check(ids.defined() && ids.ndim() == 1 && ids.dtype() == DType::kI32,
        "[embedding] indices of the {} table are {} {}. Expected i32 [T].", name,
        name_of(ids.dtype()), ids.shape());
  on_device(ids.device(), [&](auto on) { kernels::check_indices(on, ids, table.dim(0), name); });
}

Gradient sparse_gradient(const Tensor& ids, const Tensor& dy, int padding_row) {
  // On the meta device as if every token were another: shapes are upper bounds there.
  Gradient gradient(ids.detach(), dy.detach());
  const ProfiledSpan span("embedding", name_of(dy.dtype()));
  on_device(dy.device(),
            [&](auto on) { gradient = kernels::embedding_backward(on, ids, dy, padding_row); });
  count_work({.moved_bytes = bytes_of(dy, gradient.values)});
  return gradient;
}

Gradient dense_gradient(const Tensor& table, const Tensor& ids, const Tensor& dy) {
  const ProfiledSpan span("embedding", name_of(dy.dtype()));
  Tensor gradient = gradient_like(table);
  on_device(dy.device(),
            [&](auto on) { kernels::embedding_backward_dense(on, ids, dy, gradient); });
  count_work({.moved_bytes = bytes_of(dy, gradient)});
  return gradient;
}

}  // namespace

Tensor embedding(const Tensor& table, const Tensor& ids, int padding_row) {
  check_table(table, ids, "word");
  const ProfiledSpan span("embedding", name_of(table.dtype()));
  Tensor y = Tensor::empty({ids.dim(0), table.dim(1)}, table.dtype(), ids.device());
  on_device(y.device(), [&](auto on) { kernels::embedding(on, table, ids, y); });
  count_work({.moved_bytes = 2 * bytes_of(y)});
  return record(y, {table}, [ids, padding_row](const Tensor& dy) {
    return Gradients{sparse_gradient(ids, dy, padding_row)};
  });
}

Tensor embedding_sum(const EmbeddingTables& tables, const Tensor& ids, const Tensor& positions,
                     const Tensor& types) {
  check_table(tables.word, ids, "word");
  check_table(tables.position, positions, "position");
  if (tables.type.defined()) check_table(tables.type, types, "type");
  const int64_t width = tables.word.dim(1);
  check(tables.position.dim(1) == width && (!tables.type.defined() || tables.type.dim(1) == width),
        "[embedding] tables of shapes {}, {} and {}. Expected the same width.", tables.word.shape(),
        tables.position.shape(), tables.type.shape());
  check(positions.dim(0) == ids.dim(0) && (!tables.type.defined() || types.dim(0) == ids.dim(0)),
        "[embedding] {} ids, {} positions and {} types. Expected equal numbers.", ids.dim(0),
        positions.dim(0), types.defined() ? types.dim(0) : 0);

  const ProfiledSpan span("embedding", name_of(tables.word.dtype()));
  Tensor y = Tensor::empty({ids.dim(0), width}, tables.word.dtype(), ids.device());
  on_device(y.device(),
            [&](auto on) { kernels::embedding_sum(on, tables, ids, positions, types, y); });
  // A row of each table is read.
  count_work({.element_bytes = 3 * bytes_of(y),
              .moved_bytes = (tables.type.defined() ? 4 : 3) * bytes_of(y)});
  return record(y, {tables.word, tables.position, tables.type},
                [tables, ids, positions, types](const Tensor& dy) {
                  Gradients g(3);
                  if (tables.word.node()) g[0] = sparse_gradient(ids, dy, tables.padding_row);
                  if (tables.position.node()) {
                    g[1] = dense_gradient(tables.position, positions, dy);
                  }
                  if (tables.type.node()) g[2] = dense_gradient(tables.type, types, dy);
                  return g;
                });
}

Tensor add_embeddings(const Tensor& x, const Tensor& position, const Tensor& positions,
                      const Tensor& type, const Tensor& types) {
  check_table(position, positions, "position");
  if (type.defined()) check_table(type, types, "type");
  check(x.ndim() == 2 && x.dim(0) == positions.dim(0) && x.dim(1) == position.dim(1),
        "[embedding] x of shape {} for {} positions of width {}.", x.shape(), positions.dim(0),
        position.dim(1));
  const ProfiledSpan span("embedding", name_of(x.dtype()));
  // Row t of x is the word of token t.
  std::vector<int32_t> rows(static_cast<size_t>(x.dim(0)));
  std::iota(rows.begin(), rows.end(), 0);
  const Tensor words = Tensor::from<int32_t>(rows, {x.dim(0)}, x.device());
  Tensor y = Tensor::empty_like(x);
  on_device(y.device(), [&](auto on) {
    kernels::embedding_sum(on, {.word = x, .position = position, .type = type}, words, positions,
                           types, y);
  });
  count_work({.moved_bytes = (type.defined() ? 4 : 3) * bytes_of(y)});
  return record(y, {x, position, type}, [position, positions, type, types](const Tensor& dy) {
    Gradients g(3);
    g[0] = dy;
    if (position.node()) g[1] = dense_gradient(position, positions, dy);
    if (type.node()) g[2] = dense_gradient(type, types, dy);
    return g;
  });
}

}  // namespace heddle
