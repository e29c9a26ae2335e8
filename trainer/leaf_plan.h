// Which leaves of a batch this rank computes, and how many of them at a time.
//
// A batch is cut into `leaves` leaves, a power of two times the number that the run was given: into
// more where one has more than `micro_tokens` tokens. The number depends on the batch alone, never
// on the mesh, and so does the tree that sums the leaves. A rank takes its share and runs it in
// passes of equally many leaves, as many as `micro_tokens` allows: memory, not arithmetic.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace heddle {

struct LeafPlan {
  // A pass: the samples of its leaves one after another, and where each leaf starts, [leaves + 1].
  struct Pass {
    std::vector<int64_t> samples;
    std::vector<int64_t> sample_offsets;
  };
  std::vector<Pass> passes;  // a power of two of them
};

struct LeafPlanOptions {
  int64_t leaves = 8;  // a multiple of ranks
  int64_t micro_tokens = 8192;
  int64_t rank = 0;
  int64_t ranks = 1;
  // False: a leaf is of consecutive samples, as canonical numerics define it. True: the batch's
  // samples are dealt so that leaves have nearly the same number of tokens, and ranks do not wait
  // for each other; still a function of the batch alone.
  bool even = false;
};

// The plans of all ranks: the batch is arranged once.
class LeafPlanner {
 public:
  // `length` gives a sample's tokens; `options.rank` is not looked at.
  LeafPlanner(std::span<const int64_t> samples, const LeafPlanOptions& options,
              const std::function<int64_t(int64_t sample)>& length);

  LeafPlan plan(int64_t rank) const;
  // Tokens of all its passes.
  int64_t tokens(int64_t rank) const;

 private:
  int64_t tokens_of(int64_t begin_leaf, int64_t end_leaf) const;

  LeafPlanOptions options_;
  int64_t leaves_;
  std::vector<int64_t> order_;   // samples, leaf after leaf
  std::vector<int64_t> before_;  // tokens of the samples before, [samples + 1]
};

// `length` gives a sample's tokens.
LeafPlan plan_leaves(std::span<const int64_t> samples, const LeafPlanOptions& options,
                     const std::function<int64_t(int64_t sample)>& length);

}  // namespace heddle
