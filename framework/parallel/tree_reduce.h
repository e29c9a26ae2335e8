// Sums of float arrays over ranks, by the tree of tree.h: given that each rank holds the sum of its
// aligned subtree of leaves, the result has the same bits on 1, 2, 4, 8 ... ranks.
//
//   TreeReducer reducer(world, parameters);         // collective; once
//   std::span<float> gradients = reducer.buffer();  // the node's other ranks can read it
//   fill(gradients);
//   …
//   reducer.all_reduce(gradients.subspan(begin, count), "layer3");
//
// On a node, ranks add slices directly from each other's memory. Across nodes the tree goes on by
// recursive halving, distances 1, 2, 4, then the slices are gathered the way back.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "framework/comm/communicator.h"

namespace heddle {

// In place, the same on every rank, by messages: for small arrays, and where memory is not shared.
// On a number of ranks that is not a power of two, the library's own order (mode: fast).
void tree_all_reduce(Communicator& group, std::span<float> values, std::string_view name = "");
void tree_all_reduce(Communicator& group, std::span<double> values, std::string_view name = "");

struct TreeReducerOptions {
  // Refuses a number of ranks that is not a power of two, where the sum would depend on the mesh.
  bool canonical = true;
  // Off: messages only, as across nodes.
  bool shared_memory = true;
};

class TreeReducer {
 public:
  // Collective. `capacity` floats on every rank; `group` must outlive the reducer. Error(kIo) if
  // the node has too little shared memory.
  TreeReducer(Communicator& group, int64_t capacity, TreeReducerOptions options = {});
  ~TreeReducer();
  TreeReducer(const TreeReducer&) = delete;
  TreeReducer& operator=(const TreeReducer&) = delete;

  // This rank's floats, zero at first.
  std::span<float> buffer();

  // The tree's sum over ranks, in place, on every rank. `values` has the same size on every rank
  // and lies either within buffer(), at the same offset on every rank, or apart from it; then it is
  // carried through buffer(), whose content is lost. Collective.
  void all_reduce(std::span<float> values, std::string_view name = "");

  // all_reduce of the first floats of buffer() while they are still being made; it begins without
  // waiting for anyone, and progress() adds what all ranks have ready (bucket_sum.h). Where ranks
  // do not share memory, all is done by finish(). Collective, but for ready() and progress().
  void begin(int64_t count);
  void ready(int64_t count);  // the first `count` of this rank are final
  void progress();
  void finish(std::string_view name = "");

  // The two halves of all_reduce, for values cut by `offsets` [ranks + 1], which ascend from 0 and
  // are the same on every rank: rank r's slice is [offsets[r], offsets[r + 1]). Both are carried
  // through buffer(), whose content is lost. Collective.
  //
  // The tree's sum of this rank's slice into `mine`.
  void reduce_scatter(std::span<const float> values, std::span<const int64_t> offsets,
                      std::span<float> mine, std::string_view name = "");
  // Every rank's slice, where each has written its own.
  void all_gather(std::span<float> values, std::span<const int64_t> offsets,
                  std::string_view name = "");

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace heddle
