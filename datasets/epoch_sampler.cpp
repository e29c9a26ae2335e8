#include "datasets/epoch_sampler.h"

#include <algorithm>

#include "datasets/permutation.h"
#include "framework/core/error.h"

namespace heddle {
namespace {

// Streams of the permutations of one seed: an epoch's samples, a window's batches.
uint64_t epoch_stream(int64_t epoch) {
  return static_cast<uint64_t>(epoch);
}
uint64_t window_stream(int64_t epoch, int64_t begin) {
  return (static_cast<uint64_t>(epoch) + 1) << 40 | static_cast<uint64_t>(begin);
}

}  // namespace

std::pair<int64_t, int64_t> leaf_range(int64_t count, int64_t leaf, int64_t leaves) {
  return {count * leaf / leaves, count * (leaf + 1) / leaves};
}

std::span<const int64_t> GlobalBatch::leaf(int64_t i) const {
  check(i >= 0 && i < leaves, "[sampler] leaf {} of {}", i, leaves);
  const auto [begin, end] = leaf_range(static_cast<int64_t>(samples.size()), i, leaves);
  return std::span(samples).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
}

EpochSampler::EpochSampler(int64_t samples, const SamplerOptions& options, Length length)
    : samples_(samples), options_(options), length_(std::move(length)) {
  check(samples > 0, "[sampler] {} samples. Expected at least one.", samples);
  check(options.sequences >= 0 && (options.sequences > 0) != (options.tokens > 0),
        "[sampler] a batch of {} sequences or {} tokens. Expected one of them above 0.",
        options.sequences, options.tokens);
  check(options.leaves > 0, "[sampler] {} leaves. Expected at least one.", options.leaves);
  check(options.length_window >= 0, "[sampler] a window of {} samples.", options.length_window);
  check(length_ || (options.tokens == 0 && options.length_window == 0),
        "[sampler] batches by length need the lengths of the samples.");
  if (options_.sequences > 0 && options_.length_window > 0) {  // whole batches
    const int64_t size = options_.sequences;
    options_.length_window = (options_.length_window + size - 1) / size * size;
  }
}

GlobalBatch EpochSampler::next() {
  GlobalBatch batch{.start = state_, .samples = {}, .leaves = options_.leaves};
  if (options_.length_window == 0) {
    batch.samples = batch_at(state_.epoch, state_.position);
  } else {
    const int64_t begin = state_.position / options_.length_window * options_.length_window;
    if (window_ != SamplerState{state_.epoch, begin}) {
      window_batches_ = window_at(state_.epoch, begin);
      window_ = {state_.epoch, begin};
    }
    int64_t position = begin;
    for (const std::vector<int64_t>& candidate : window_batches_) {
      if (position == state_.position) batch.samples = candidate;
      position += static_cast<int64_t>(candidate.size());
    }
    check(!batch.samples.empty(), "[sampler] no batch begins at position {} of epoch {}.",
          state_.position, state_.epoch);
  }
  state_.position += static_cast<int64_t>(batch.samples.size());
  if (state_.position == samples_) {
    state_ = {state_.epoch + 1, 0};
    batch.ends_epoch = true;
  }
  return batch;
}

void EpochSampler::seek(const SamplerState& state) {
  check(state.epoch >= 0 && state.position >= 0 && state.position < samples_,
        "[sampler] position {} of epoch {} among {} samples.", state.position, state.epoch,
        samples_);
  const SamplerState before = state_;
  state_ = state;
  if (options_.length_window > 0) {
    try {
      next();
    } catch (...) {
      state_ = before;
      throw;
    }
    state_ = state;
  }
}

int64_t EpochSampler::batches(int64_t epoch) const {
  if (options_.sequences > 0) return (samples_ + options_.sequences - 1) / options_.sequences;
  int64_t count = 0;
  for (int64_t position = 0; position < samples_;) {
    if (options_.length_window > 0) {
      count += static_cast<int64_t>(window_at(epoch, position).size());
      position += options_.length_window;
    } else {
      position += static_cast<int64_t>(batch_at(epoch, position).size());
      ++count;
    }
  }
  return count;
}

std::vector<int64_t> EpochSampler::batch_at(int64_t epoch, int64_t begin) const {
  std::vector<int64_t> samples;
  const Permutation order(samples_, options_.seed, epoch_stream(epoch));
  int64_t tokens = 0;
  for (int64_t position = begin; position < samples_; ++position) {
    const int64_t sample = options_.shuffle ? order(position) : position;
    if (options_.sequences > 0) {
      if (static_cast<int64_t>(samples.size()) == options_.sequences) break;
    } else {
      tokens += length_(sample);
      if (tokens > options_.tokens && !samples.empty()) break;
    }
    samples.push_back(sample);
  }
  return samples;
}

EpochSampler::Batches EpochSampler::window_at(int64_t epoch, int64_t begin) const {
  const int64_t end = std::min(samples_, begin + options_.length_window);
  const Permutation order(samples_, options_.seed, epoch_stream(epoch));
  std::vector<std::pair<int64_t, int64_t>> sorted;  // (length, sample)
  for (int64_t position = begin; position < end; ++position) {
    const int64_t sample = options_.shuffle ? order(position) : position;
    sorted.emplace_back(length_(sample), sample);
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });

  Batches batches;
  int64_t tokens = 0;
  for (const auto& [length, sample] : sorted) {
    const bool full =
        !batches.empty() &&
        (options_.sequences > 0 ? static_cast<int64_t>(batches.back().size()) == options_.sequences
                                : tokens + length > options_.tokens);
    if (batches.empty() || full) {
      batches.emplace_back();
      tokens = 0;
    }
    batches.back().push_back(sample);
    tokens += length;
  }
  if (!options_.shuffle) return batches;
  Batches shuffled;
  const Permutation batch_order(static_cast<int64_t>(batches.size()), options_.seed,
                                window_stream(epoch, begin));
  for (int64_t i = 0; i < batch_order.size(); ++i) {
    shuffled.push_back(std::move(batches[static_cast<size_t>(batch_order(i))]));
  }
  return shuffled;
}

}  // namespace heddle
