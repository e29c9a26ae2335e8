#include "framework/parallel/tree_reduce.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>
#include <vector>

#include "framework/comm/collectives.h"
#include "framework/core/error.h"
#include "framework/core/tensor.h"
#include "framework/device/allocator.h"
#include "framework/device/profile.h"
#include "framework/parallel/bucket_sum.h"
#include "framework/parallel/tree.h"

namespace heddle {
namespace {

bool is_power_of_two(int n) {
  return std::has_single_bit(static_cast<unsigned>(n));
}

// Below this many elements whole arrays are swapped: fewer messages count more than fewer bytes.
constexpr size_t kSmall = 2048;

// Where the slice of `part` of `parts` begins; on a cache line unless the array ends before.
size_t slice_begin(size_t count, size_t part, size_t parts) {
  return std::min(count, (count * part / parts + 15) / 16 * 16);
}

template <typename T>
void add(std::span<const T> left, std::span<const T> right, std::span<T> out) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = left[i] + right[i];
}

// values = the sum with `theirs`, the lower rank on the left.
template <typename T>
void add_peer(std::span<T> values, std::span<const T> theirs, bool peer_is_left) {
  const std::span<const T> mine = values;
  if (peer_is_left)
    add(theirs, mine, values);
  else
    add(mine, theirs, values);
}

template <typename T>
void swap_and_add(Communicator& group, std::span<T> values) {
  std::vector<T> theirs(values.size());
  for (int distance = 1; distance < group.size(); distance *= 2) {
    const int peer = group.rank() ^ distance;
    group.exchange(peer, std::as_bytes(values), std::as_writable_bytes(std::span(theirs)));
    add_peer<T>(values, theirs, peer < group.rank());
  }
}

// Reduce-scatter at distance 1, 2, 4 ..., then all-gather the same way back.
template <typename T>
void halve_and_gather(Communicator& group, std::span<T> values) {
  struct Range {
    size_t begin, end;
  };
  std::vector<T> theirs(values.size() / 2 + 16);
  std::vector<std::pair<Range, Range>> steps;  // (kept, given away)
  Range range{0, values.size()};
  for (int distance = 1; distance < group.size(); distance *= 2) {
    const int peer = group.rank() ^ distance;
    const size_t middle = range.begin + slice_begin(range.end - range.begin, 1, 2);
    Range kept{range.begin, middle};
    Range given{middle, range.end};
    if (peer < group.rank()) std::swap(kept, given);
    const std::span<T> incoming = std::span(theirs).first(kept.end - kept.begin);
    group.exchange(peer, std::as_bytes(values.subspan(given.begin, given.end - given.begin)),
                   std::as_writable_bytes(incoming));
    add_peer<T>(values.subspan(kept.begin, incoming.size()), incoming, peer < group.rank());
    steps.emplace_back(kept, given);
    range = kept;
  }
  for (int distance = group.size() / 2; distance > 0; distance /= 2) {
    const auto [kept, given] = steps.back();
    steps.pop_back();
    group.exchange(group.rank() ^ distance,
                   std::as_bytes(values.subspan(kept.begin, kept.end - kept.begin)),
                   std::as_writable_bytes(values.subspan(given.begin, given.end - given.begin)));
  }
}

template <typename T>
void reduce_by_messages(Communicator& group, std::span<T> values, std::string_view dtype,
                        std::string_view name) {
  if (group.size() == 1) return;
  if (!is_power_of_two(group.size())) return group.all_reduce(values, Reduction::kSum, name);
  group.enter("tree_all_reduce", dtype, static_cast<int64_t>(values.size()), name);
  if (values.size() < kSmall)
    swap_and_add(group, values);
  else
    halve_and_gather(group, values);
}

// What a rank of a group has of values that are cut by offsets.
class Slices {
 public:
  Slices(const Communicator& group, std::span<const int64_t> offsets) : offsets_(offsets) {
    check(offsets.size() == static_cast<size_t>(group.size()) + 1 && offsets.front() == 0 &&
              std::ranges::is_sorted(offsets),
          "[tree_reduce] {} offsets for {} ranks. Expected one more, ascending from 0.",
          offsets.size(), group.size());
  }

  size_t begin(int rank) const { return static_cast<size_t>(offsets_[static_cast<size_t>(rank)]); }
  size_t size(int rank) const { return begin(rank + 1) - begin(rank); }
  size_t largest() const {
    size_t largest = 0;
    for (size_t r = 0; r + 1 < offsets_.size(); ++r) {
      largest = std::max(largest, size(static_cast<int>(r)));
    }
    return largest;
  }
  // Elements [at, at + most) of a rank's slice, as far as it goes.
  template <typename T>
  std::span<T> piece(std::span<T> values, int rank, size_t at, size_t most) const {
    const size_t from = std::min(at, size(rank));
    return values.subspan(begin(rank) + from, std::min(most, size(rank) - from));
  }

 private:
  std::span<const int64_t> offsets_;
};

// Distances 1, 2, 4 ...: at each a rank gives away the slices of the ranks on the other side, and
// adds what it gets to those of its own side.
void scatter_by_messages(Communicator& group, std::span<float> values, const Slices& slices) {
  std::vector<float> given, theirs;
  for (int distance = 1; distance < group.size(); distance *= 2) {
    const int peer = group.rank() ^ distance;
    const auto for_slices_of = [&](int side, auto&& visit) {
      for (int r = side & (2 * distance - 1); r < group.size(); r += 2 * distance) {
        visit(slices.piece(values, r, 0, slices.size(r)));
      }
    };
    given.clear();
    for_slices_of(peer, [&](std::span<float> slice) {
      given.insert(given.end(), slice.begin(), slice.end());
    });
    size_t count = 0;
    for_slices_of(group.rank(), [&](std::span<float> slice) { count += slice.size(); });
    theirs.resize(count);
    group.exchange(peer, std::as_bytes(std::span(given)),
                   std::as_writable_bytes(std::span(theirs)));
    std::span<const float> next = theirs;
    for_slices_of(group.rank(), [&](std::span<float> slice) {
      add_peer<float>(slice, next.first(slice.size()), peer < group.rank());
      next = next.subspan(slice.size());
    });
  }
}

}  // namespace

void tree_all_reduce(Communicator& group, std::span<float> values, std::string_view name) {
  reduce_by_messages(group, values, "f32", name);
}

void tree_all_reduce(Communicator& group, std::span<double> values, std::string_view name) {
  reduce_by_messages(group, values, "f64", name);
}

struct TreeReducer::State {
  explicit State(Communicator& g) : group(g) {}

  Communicator& group;
  // Set when the node part of the tree goes through shared memory: `node` holds this node's ranks,
  // `across` the ranks with this rank's place on every node.
  std::unique_ptr<Communicator> node;
  std::unique_ptr<Communicator> across;
  SharedArena arena;
  std::optional<BucketSum> buckets;  // where all ranks are on one node
  std::span<float> begun;            // between begin() and finish()
  CountedMemory counted;             // the arena's part, in the allocator's books
  Tensor plain;                      // the buffer otherwise
  std::span<float> buffer;

  void choose_way(bool shared_memory);
  void reduce_in_buffer(std::span<float> values, std::string_view name);
  // All ranks are on one node and see each other's buffers.
  bool all_shared() const { return node && !across; }
  const float* buffer_of(int rank) const {
    return reinterpret_cast<const float*>(arena.peer(rank));
  }
  void scatter_in_buffers(std::span<const float> values, const Slices& slices,
                          std::span<float> mine);
  void gather_in_buffers(std::span<float> values, const Slices& slices);
};

// Shared memory serves if every node holds the same number of consecutive ranks, so that a node is
// a subtree; with several nodes both numbers must be powers of two.
void TreeReducer::State::choose_way(bool shared_memory) {
  if (group.size() == 1 || !shared_memory) return;
  node = group.split_by_node();
  struct Place {
    int first, count;
  };
  const int first = broadcast(*node, group.rank(), 0);
  const std::vector<Place> places = heddle::all_gather(group, Place{first, node->size()});
  const int per_node = places[0].count;
  bool aligned = group.size() % per_node == 0;
  for (int r = 0; r < group.size(); ++r) {
    const Place& place = places[static_cast<size_t>(r)];
    aligned = aligned && place.count == per_node && place.first == r / per_node * per_node;
  }
  const bool one_node = per_node == group.size();
  if (!aligned || per_node == 1 || !(one_node || is_power_of_two(group.size()))) {
    node.reset();
    return;
  }
  if (!one_node) across = group.split(node->rank(), group.rank());
}

TreeReducer::TreeReducer(Communicator& group, int64_t capacity, TreeReducerOptions options)
    : state_(std::make_unique<State>(group)) {
  check(capacity >= 0, "[tree_reduce] capacity of {} floats.", capacity);
  check(!options.canonical || is_power_of_two(group.size()),
        "[tree_reduce] {} ranks in canonical numerics. Expected a power of two; other numbers need "
        "numerics.mode: fast.",
        group.size());
  State& s = *state_;
  s.choose_way(options.shared_memory);
  if (!s.node) {
    s.plain = Tensor::zeros({capacity});
    s.buffer = s.plain.span<float>();
    return;
  }
  s.counted = CountedMemory(capacity * static_cast<int64_t>(sizeof(float)));
  s.arena = s.node->allocate_shared(capacity * static_cast<int64_t>(sizeof(float)), "gradients");
  s.buffer = {reinterpret_cast<float*>(s.arena.mine()), static_cast<size_t>(capacity)};
  if (s.all_shared()) s.buckets.emplace(*s.node, s.arena);
}

TreeReducer::~TreeReducer() = default;

std::span<float> TreeReducer::buffer() {
  return state_->buffer;
}

void TreeReducer::State::reduce_in_buffer(std::span<float> values, std::string_view name) {
  if (!node) return tree_all_reduce(group, values, name);
  group.enter("tree_all_reduce shared", "f32", static_cast<int64_t>(values.size()), name);
  const auto offset = static_cast<size_t>(values.data() - buffer.data());
  const auto ranks = static_cast<size_t>(node->size());
  const auto me = static_cast<size_t>(node->rank());
  const size_t begin = slice_begin(values.size(), me, ranks);
  const size_t count = slice_begin(values.size(), me + 1, ranks) - begin;
  std::vector<float*> parts(ranks);
  for (size_t r = 0; r < ranks; ++r) {
    parts[r] = reinterpret_cast<float*>(arena.peer(static_cast<int>(r))) + offset + begin;
  }
  arena.barrier();  // everyone's values are there
  if (across) {
    tree_sum(std::vector<const float*>(parts.begin(), parts.end()), {parts[me], count});
    tree_all_reduce(*across, {parts[me], count}, name);
    for (size_t r = 0; r < ranks; ++r) {
      if (r != me) std::copy_n(parts[me], count, parts[r]);
    }
  } else {
    tree_sum_to_all(parts, count);
  }
  arena.barrier();  // and so is the sum
}

void TreeReducer::all_reduce(std::span<float> values, std::string_view name) {
  State& s = *state_;
  if (s.group.size() == 1 || values.empty()) return;
  const ProfiledStage span("all_reduce of floats");
  const float* begin = s.buffer.data();
  const float* end = begin + s.buffer.size();
  if (values.data() >= begin && values.data() + values.size() <= end) {
    return s.reduce_in_buffer(values, name);
  }
  if (!s.node) return tree_all_reduce(s.group, values, name);
  check(!s.buffer.empty(), "[tree_reduce] {} floats through a buffer of 0.", values.size());
  for (size_t at = 0; at < values.size(); at += s.buffer.size()) {
    const std::span<float> piece =
        values.subspan(at, std::min(s.buffer.size(), values.size() - at));
    std::copy(piece.begin(), piece.end(), s.buffer.begin());
    s.reduce_in_buffer(s.buffer.first(piece.size()), name);
    std::copy_n(s.buffer.begin(), piece.size(), piece.begin());
  }
}

void TreeReducer::begin(int64_t count) {
  State& s = *state_;
  s.begun = s.buffer.first(static_cast<size_t>(count));
  if (s.buckets) s.buckets->begin(s.begun);
}

void TreeReducer::ready(int64_t count) {
  if (state_->buckets) state_->buckets->ready(count);
}

void TreeReducer::progress() {
  if (state_->buckets) state_->buckets->progress();
}

void TreeReducer::finish(std::string_view name) {
  State& s = *state_;
  if (!s.buckets) return all_reduce(s.begun, name);
  const ProfiledStage span("all_reduce of floats");
  s.group.enter("tree_all_reduce buckets", "f32", static_cast<int64_t>(s.begun.size()), name);
  s.buckets->finish();
}

void TreeReducer::State::scatter_in_buffers(std::span<const float> values, const Slices& slices,
                                            std::span<float> mine) {
  // A place in the buffer for a piece of each rank's slice.
  const size_t place = buffer.size() / static_cast<size_t>(group.size());
  const int me = group.rank();
  for (size_t at = 0; at < slices.largest(); at += place) {
    for (int r = 0; r < group.size(); ++r) {
      const auto piece = slices.piece(values, r, at, place);
      if (r != me) std::ranges::copy(piece, buffer.begin() + static_cast<int64_t>(r * place));
    }
    arena.barrier();  // everyone's values are there
    const auto own = slices.piece(values, me, at, place);
    std::vector<const float*> parts;
    for (int r = 0; r < group.size(); ++r) {
      parts.push_back(r == me ? own.data() : buffer_of(r) + me * place);
    }
    tree_sum(parts, mine.subspan(std::min(at, mine.size()), own.size()));
    arena.barrier();  // and have been read
  }
}

void TreeReducer::State::gather_in_buffers(std::span<float> values, const Slices& slices) {
  const int me = group.rank();
  for (size_t at = 0; at < slices.largest(); at += buffer.size()) {
    std::ranges::copy(slices.piece(values, me, at, buffer.size()), buffer.begin());
    arena.barrier();  // everyone's piece is there
    for (int r = 0; r < group.size(); ++r) {
      const auto piece = slices.piece(values, r, at, buffer.size());
      if (r != me) std::copy_n(buffer_of(r), piece.size(), piece.begin());
    }
    arena.barrier();  // and has been read
  }
}

void TreeReducer::reduce_scatter(std::span<const float> values, std::span<const int64_t> offsets,
                                 std::span<float> mine, std::string_view name) {
  const ProfiledStage span("reduce_scatter of floats");
  State& s = *state_;
  const Slices slices(s.group, offsets);
  if (s.all_shared()) {
    check(s.buffer.size() >= static_cast<size_t>(s.group.size()) || values.empty(),
          "[tree_reduce] {} floats through a buffer of {}.", values.size(), s.buffer.size());
    s.group.enter("tree_reduce_scatter shared", "f32", static_cast<int64_t>(values.size()), name);
    return s.scatter_in_buffers(values, slices, mine);
  }
  std::vector<float> sums(values.begin(), values.end());
  if (is_power_of_two(s.group.size())) {
    s.group.enter("tree_reduce_scatter", "f32", static_cast<int64_t>(values.size()), name);
    scatter_by_messages(s.group, sums, slices);
  } else {
    s.group.all_reduce(std::span(sums), Reduction::kSum, name);
  }
  std::ranges::copy(slices.piece(std::span(sums), s.group.rank(), 0, mine.size()), mine.begin());
}

void TreeReducer::all_gather(std::span<float> values, std::span<const int64_t> offsets,
                             std::string_view name) {
  const ProfiledStage span("all_gather of floats");
  State& s = *state_;
  const Slices slices(s.group, offsets);
  if (s.all_shared()) {
    check(!s.buffer.empty() || values.empty(), "[tree_reduce] {} floats through a buffer of {}.",
          values.size(), s.buffer.size());
    s.group.enter("all_gather shared", "f32", static_cast<int64_t>(values.size()), name);
    return s.gather_in_buffers(values, slices);
  }
  const int me = s.group.rank();
  const std::span<const float> mine = slices.piece(values, me, 0, slices.size(me));
  const std::vector<Bytes> all = s.group.all_gather_v(std::as_bytes(mine), name);
  for (int r = 0; r < s.group.size(); ++r) {
    const std::span<float> slice = slices.piece(values, r, 0, slices.size(r));
    std::ranges::copy(all[static_cast<size_t>(r)], std::as_writable_bytes(slice).begin());
  }
}

}  // namespace heddle
