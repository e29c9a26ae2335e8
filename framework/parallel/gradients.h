// The gradients of one rank, and their sum over all ranks in the tree's order.
//
//   GradientArena gradients(parameters, mesh.data());
//   gradients.begin(passes);                   // as many passes as there are groups of leaves
//   for (…) { gradients.begin_pass(); backward(model(batch).sum, one); gradients.end_pass(); }
//   gradients.all_reduce();
//   for (const auto& g : gradients.entries()) use(gradients.dense(g)) …
//
// Dense gradients lie in one block in reverse order of the parameters (the last layer's are ready
// first), in memory that the node's other ranks read; row-sparse ones (embeddings) are kept apart.
// In a step of one pass the ranks add what is ready while backward() goes on: a gradient is ready
// when it has had as many terms as in the passes before.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "framework/autograd/record.h"
#include "framework/nn/arena.h"
#include "framework/parallel/sparse_rows.h"
#include "framework/parallel/tree.h"
#include "framework/parallel/tree_reduce.h"

namespace heddle {

class GradientArena {
 public:
  struct Entry {
    const ParameterArena::Entry* parameter;
    int64_t offset;  // of a dense gradient in the block; of a sparse one among the sparse ones
    bool sparse;
  };

  // For the trainable parameters of `parameters`, whose values become variables. Collective;
  // `group` must outlive this. `canonical` refuses a number of ranks that is not a power of two.
  GradientArena(const ParameterArena& parameters, Communicator& group, bool canonical);
  ~GradientArena();
  GradientArena(const GradientArena&) = delete;
  GradientArena& operator=(const GradientArena&) = delete;

  const std::vector<Entry>& entries() const { return entries_; }

  // A sum of `passes` passes begins; each is the subtree of equally many leaves.
  void begin(int64_t passes);
  // Slots and gradients are free again: backward() may run.
  void begin_pass();
  // Takes the pass's gradients; what had none counts as +0.
  void end_pass();
  // The sum of all ranks' passes, on every rank. Collective.
  void all_reduce();

  // After all_reduce(): the sum, which may be changed in place.
  std::span<float> dense(const Entry& entry) const;
  const SparseRows& sparse(const Entry& entry) const;

 private:
  void arrived(const Variable& variable);
  void pass_on_what_is_ready();
  void collect_dense();
  void collect_sparse();

  Communicator& group_;
  std::vector<Entry> entries_;
  int64_t size_ = 0;
  Tensor pass_;  // [size_]: dense gradients of a pass, where there are several
  std::unique_ptr<TreeReducer> reducer_;
  std::unique_ptr<TreeAccumulator> accumulator_;
  std::vector<RowTreeAccumulator> row_accumulators_;  // one a sparse entry, in their order
  std::vector<SparseRows> rows_;
  int64_t passes_ = 0;

  std::vector<size_t> dense_;                             // of the entries
  std::unordered_map<const Variable*, size_t> in_dense_;  // place in dense_
  std::vector<int> terms_;                                // that each has had in this pass
  std::vector<int> expected_;                             // the most in passes before
  std::optional<GradientListener> listener_;              // during a pass
  bool early_ = false;                                    // what is ready is passed on in this pass
  size_t ready_ = 0;                                      // the first so many of dense_
};

}  // namespace heddle
