// Which samples a training step takes, in which leaves: a function of (seed, epoch, position)
// alone, so that a run goes on anywhere, on any number of ranks, without replaying anything.
//
//   EpochSampler sampler(data.size(), {.seed = 42, .sequences = 32, .leaves = 8});
//   while (sampler.state().epoch < 3) {
//     const GlobalBatch batch = sampler.next();   // of the whole job, the same on all ranks
//     for (int leaf : my_leaves) step(batch.leaf(leaf));
//   }
//
// An epoch takes every sample once. Its last batch may be short; leaves may be empty.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace heddle {

struct SamplerOptions {
  uint64_t seed = 0;
  bool shuffle = true;
  // A batch is this many sequences, or if 0 as many as have at most `tokens` tokens; a sequence
  // longer than that is a batch of its own.
  int64_t sequences = 32;
  int64_t tokens = 0;
  int64_t leaves = 8;
  // Above 0: this many samples at a time, in the shuffled order, are sorted by length before they
  // are cut into batches, and the batches are shuffled: steps of even lengths, in random order.
  int64_t length_window = 0;
};

// All that a checkpoint keeps of the order. `position`: samples of the epoch already taken.
struct SamplerState {
  int64_t epoch = 0;
  int64_t position = 0;
  bool operator==(const SamplerState&) const = default;
};

struct GlobalBatch {
  SamplerState start = {};            // the sampler's state before it
  std::vector<int64_t> samples = {};  // indices into the data set
  int64_t leaves = 1;
  bool ends_epoch = false;

  // Leaf i of `leaves`: consecutive samples. Sizes differ by one at most and may be 0.
  std::span<const int64_t> leaf(int64_t i) const;
};

// The indices of leaf `leaf` of `leaves` when `count` samples are cut: [first, second).
std::pair<int64_t, int64_t> leaf_range(int64_t count, int64_t leaf, int64_t leaves);

class EpochSampler {
 public:
  using Length = std::function<int64_t(int64_t sample)>;

  // `length` is called if batches are by tokens or sorted by length. Throws std::invalid_argument
  // if there are no samples, or an option has no meaning.
  EpochSampler(int64_t samples, const SamplerOptions& options, Length length = {});

  // The next batch; behind the last of an epoch comes the first of the next.
  GlobalBatch next();

  const SamplerState& state() const { return state_; }
  // `state` is one that state() gave, with these samples and options. Throws std::invalid_argument
  // if no batch begins there.
  void seek(const SamplerState& state);

  // How many batches an epoch has. By tokens that depends on the epoch, and takes O(samples).
  int64_t batches(int64_t epoch) const;

 private:
  using Batches = std::vector<std::vector<int64_t>>;
  // Samples [begin, …) of the epoch's order, of a batch that begins there.
  std::vector<int64_t> batch_at(int64_t epoch, int64_t begin) const;
  // The batches of samples [begin, begin + length_window) in the order in which they are taken.
  Batches window_at(int64_t epoch, int64_t begin) const;

  int64_t samples_;
  SamplerOptions options_;
  Length length_;
  SamplerState state_;
  // The window at hand, if sorting by length.
  SamplerState window_{-1, -1};
  Batches window_batches_;
};

}  // namespace heddle
