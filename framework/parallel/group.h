// The ranks that share each layer of a model, and the parts into which its arithmetic is cut.
//
// A sharded layer always computes `parts` products of fixed shapes and merges them by the tree of
// tree.h; each rank of the group computes its share of them. So the bits depend on `parts`, and not
// on how many ranks there are. Layers take global sizes and a group; a group of one part holds
// whole tensors.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "framework/core/tensor.h"
#include "framework/parallel/tree_reduce.h"

namespace heddle {

// [begin, end) of the units that part `part` of `parts` gets: as equal as can be.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;

  int64_t size() const { return end - begin; }
};
inline Range split_evenly(int64_t units, int64_t part, int64_t parts) {
  return {units * part / parts, units * (part + 1) / parts};
}

// Between the sharded layers each rank of a group has all rows of an activation, or its own of them
// (stream.h): less memory for activations, and the same bits.
enum class Stream : uint8_t { kWhole, kSplit };

class Group {
 public:
  Group() = default;
  // `parts` is a multiple of `size`. `ranks`, null only if nothing will be computed (the meta
  // device) or size is 1, sums over the group. A group of one has all rows in any case.
  Group(int size, int index, int parts, std::shared_ptr<TreeReducer> ranks = nullptr,
        Stream stream = Stream::kWhole);

  int size() const { return size_; }
  int index() const { return index_; }
  bool splits_stream() const { return stream_ == Stream::kSplit && size_ > 1; }
  int parts() const { return parts_; }
  // This rank's parts: [first(), first() + count()).
  int first() const { return parts_ / size_ * index_; }
  int count() const { return parts_ / size_; }

  // `units` (heads, or columns of a matrix that is `width` wide) cut for part number `part`: its
  // elements along that width. Throws if there are fewer units than parts.
  Range elements(int64_t width, int64_t units, int part) const;

  // For tests of what finds such a mistake: the sums whose name makes `leave_out` true are left
  // out.
  void plant_mistake(std::function<bool(std::string_view name)> leave_out) {
    leave_out_ = std::move(leave_out);
  }

  // The tree's sum over the ranks' values, in place, on all of them. Collective.
  void all_reduce(const Tensor& values, const char* name) const;
  // The two halves of it, for values [rows, …] whose rows are cut by `offsets` [size() + 1], one
  // range for each rank: the tree's sum of this rank's rows, and all ranks' rows where each has
  // written its own. Collective.
  Tensor reduce_scatter(const Tensor& values, std::span<const int64_t> offsets,
                        const char* name) const;
  void all_gather(const Tensor& values, std::span<const int64_t> offsets, const char* name) const;

 private:
  bool left_out(const char* name) const { return leave_out_ && leave_out_(name); }
  TreeReducer& ranks() const;

  int size_ = 1;
  int index_ = 0;
  int parts_ = 1;
  std::shared_ptr<TreeReducer> ranks_;
  Stream stream_ = Stream::kWhole;
  std::function<bool(std::string_view name)> leave_out_;
};

}  // namespace heddle
