// Random numbers without a state: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3"). A number is a function of (seed, purpose, stream) and of the index of the
// element that it is for, so it is the same on any mesh, in any order, after any resume.
//
//   const PhiloxKey key = philox_key(seed, RandomPurpose::kDropout, layer);
//   const PhiloxBlock words = philox({index_low, index_high, feature_block, step}, key);
//
//   fill_normal(weight, seed, name_stream("encoder.layers.0.attention.output.weight"), 0, 0.02f);
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace heddle {

using PhiloxBlock = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

// The four words of a counter.
PhiloxBlock philox(PhiloxBlock counter, PhiloxKey key);

// What numbers are drawn for; numbers of different purposes have nothing to do with each other.
enum class RandomPurpose : uint32_t {
  kInitialWeights = 1,
  kDropout = 2,
  kAttentionDropout = 3,
  kShuffle = 4,
  kSampling = 5,
};

// For one seed, different (purpose, stream) have different keys. `stream` tells apart what has one
// purpose: a layer, the hash of a parameter's name.
PhiloxKey philox_key(uint64_t seed, RandomPurpose purpose, uint64_t stream = 0);

// A stream for what has a name (FNV-1a).
uint64_t name_stream(std::string_view name);

// A double in [0, 1) with 32 random bits, in the middle of its interval: never 0.
inline double to_unit(uint32_t word) {
  return (static_cast<double>(word) + 0.5) * 0x1p-32;
}

// Initial values for elements [begin, begin + values.size()) of a whole tensor: each depends only
// on (seed, stream, its index in the whole tensor).
void fill_uniform(std::span<float> values, uint64_t seed, uint64_t stream, int64_t begin, float low,
                  float high);
// Mean 0; Box and Muller 1958, in double.
void fill_normal(std::span<float> values, uint64_t seed, uint64_t stream, int64_t begin,
                 float deviation);

}  // namespace heddle
