#include "framework/parallel/tree_reduce.h"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "framework/comm/collectives.h"
#include "framework/core/error.h"
#include "framework/core/tensor.h"
#include "framework/device/allocator.h"
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
  CountedMemory counted;  // the arena's part, in the allocator's books
  Tensor plain;           // the buffer otherwise
  std::span<float> buffer;

  void choose_way(bool shared_memory);
  void reduce_in_buffer(std::span<float> values, std::string_view name);
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
  const std::vector<Place> places = all_gather(group, Place{first, node->size()});
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

}  // namespace heddle
