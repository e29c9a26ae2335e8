// The seam behind which a library makes the matrix products of little precision where AMX's tiles
// do not (detail/amx_linear.h): c[rows, columns] = a[rows, depth] · b. Of bf16 operands c is f32;
// of int8 (signed both) it is i32, and exact.
//
//   std::shared_ptr<const Gemm> gemm = Gemm::get({.depth = 384, .columns = 192});
//   std::vector<std::byte> packed(gemm->packed_bytes());
//   gemm->pack(weight, packed.data());
//   for (Gemm::Block block = gemm->block(rows); …)
//     gemm->multiply(block, a, packed.data(), c);   // reads and writes block.height rows
//
// The contract, which numerics rest on: the bits of a row of c depend on that row of a and on b
// alone; not on the rows beside it, its place in the block, the block's height, or the threads that
// are at work. A vendor's library gives no such promise, so each product is tried when it is made
// (the same row in every place must give the same bits everywhere) and never used if it fails; the
// last resort is one row at a time, where it holds by construction.
#pragma once

#include <cstdint>
#include <memory>

#include "framework/core/precision.h"

namespace heddle::kernels {

class Gemm {
 public:
  struct Shape {
    int64_t depth = 0;    // the length of a row of a
    int64_t columns = 0;  // of b and c; a few hundred at most, so that b stays in cache
    // How a plain b lies in memory. False: b[k, n] at n * depth + k, a Linear's weight in its
    // forward product. True: at k * columns + n, the same weight in the product with dy.
    bool depth_major = false;
    Precision operands = Precision::kBF16;

    auto operator<=>(const Shape&) const = default;
  };

  struct Product;  // the library's object for one height

  // A product of a fixed number of rows. `height` may be more than was asked for: the surplus rows
  // of a must be readable, those of c writable.
  struct Block {
    int64_t height = 0;
    const Product* product = nullptr;
  };

  // Whether there are products of such operands on this processor that keep the contract.
  static bool has(Precision operands);

  // The kernels of a shape; made once a process, then shared. Thread-safe, as are all members.
  static std::shared_ptr<const Gemm> get(const Shape& shape);

  explicit Gemm(const Shape& shape);
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  const Shape& shape() const { return shape_; }
  // The height at which the machine is at its best: work is cut into such blocks and a rest.
  int64_t block_height() const { return block_height_; }
  // The block for `rows` rows: the least usable height from `rows` up, at most block_height().
  Block block(int64_t rows) const;

  // Of a packed b.
  int64_t packed_bytes() const;
  // Brings a plain b, of the operands' type, into the layout that multiply() reads.
  void pack(const void* b, void* packed) const;
  void multiply(const Block& block, const void* a, const void* b, void* c) const;

 private:
  struct State;

  Shape shape_;
  int64_t block_height_ = 0;
  std::unique_ptr<State> state_;
};

}  // namespace heddle::kernels
