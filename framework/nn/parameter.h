// What a model learns.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "framework/core/tensor.h"
#include "framework/ops/packed_weight.h"

namespace heddle {

// How a parameter starts. Random values are keyed by (seed, the parameter's name, the element's
// index in the whole tensor), so they are the same on any mesh.
struct Initializer {
  enum class Kind : uint8_t { kZeros, kOnes, kNormal };
  Kind kind = Kind::kZeros;
  float deviation = 0;  // of kNormal
  int zero_row = -1;    // a row that starts, and stays, zero (a padding token)
};

// The part of a whole tensor that a Parameter holds. Along `dim` the whole tensor is `blocks` equal
// blocks (query, key and value of a projection: 3); the part is `extent` elements from `begin` of
// each, one block's after another's.
struct Shard {
  int dim = 0;
  int64_t begin = 0;
  int64_t extent = 0;
  int blocks = 1;

  bool operator==(const Shard&) const = default;
};

// Updates of a table's rows that an optimizer has put off until somebody reads the rows.
class PendingUpdates {
 public:
  virtual ~PendingUpdates() = default;
  // All of them.
  virtual void apply() = 0;
  // Those of some rows of the whole table, in any order; rows that are not here are passed over.
  virtual void apply(std::span<const int32_t> rows) = 0;
};

// A parameter knows its whole shape and its shard; `value` is the shard, undefined until an arena
// gives it memory (see arena.h). A process may hold several shards of one whole tensor: they are
// Parameters of the same name. Where a shard's elements lie in the whole: shard.h.
class Parameter {
 public:
  Parameter() = default;
  explicit Parameter(const Shape& whole, const Initializer& initializer = {})
      : whole_(whole), initializer_(initializer), shard_{0, 0, whole[0]} {}
  // Throws std::invalid_argument if `shard` does not lie in `whole`.
  Parameter(const Shape& whole, const Initializer& initializer, const Shard& shard);

  bool exists() const { return whole_.ndim() > 0; }  // a layer without bias has none
  const Shape& whole_shape() const { return whole_; }
  const Shard& shard() const { return shard_; }
  const Initializer& initializer() const { return initializer_; }
  // The shape of the part: blocks * extent elements along the shard's dim.
  Shape shape() const;

  // A matrix or table decays and is counted as such; a bias or a norm does not decay.
  bool is_matrix() const { return whole_.ndim() >= 2; }
  // A table whose gradient touches few rows (a vocabulary embedding).
  bool row_sparse = false;
  // The weight of a matrix product: serving packs it.
  bool multiplies = false;
  bool trainable = true;

  Tensor value;
  PackedWeight packed;  // of `value`, which may then be undefined; see pack_weights

  // Of a row-sparse table in training, or null; not owned. Whoever reads `value` says so before.
  PendingUpdates* pending = nullptr;
  void apply_pending() const {
    if (pending) pending->apply();
  }
  void apply_pending(std::span<const int32_t> rows) const {
    if (pending) pending->apply(rows);
  }

 private:
  Shape whole_;
  Initializer initializer_;
  Shard shard_;
};

}  // namespace heddle
