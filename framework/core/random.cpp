#include "framework/core/random.h"

#include <cmath>
#include <numbers>

namespace heddle {
namespace {

// A bijection of 64-bit words that mixes well (Steele et al. 2014, SplitMix's finaliser).
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// The block of four elements of a whole tensor that element `index` belongs to.
PhiloxBlock element_block(uint64_t index, PhiloxKey key) {
  const uint64_t block = index / 4;
  return philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0}, key);
}

// Two normal numbers from two words.
std::array<double, 2> normal_pair(uint32_t a, uint32_t b) {
  const double radius = std::sqrt(-2.0 * std::log(to_unit(a)));
  const double angle = 2.0 * std::numbers::pi * to_unit(b);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

// Calls set(i, word_index, block) for each value, making each block once.
template <typename MakeBlock, typename Set>
void for_elements(size_t count, int64_t begin, MakeBlock&& make, Set&& set) {
  auto index = static_cast<uint64_t>(begin);
  auto block = make(index);
  for (size_t i = 0; i < count; ++i, ++index) {
    if (i > 0 && index % 4 == 0) block = make(index);
    set(i, block[index % 4]);
  }
}

}  // namespace

PhiloxBlock philox(PhiloxBlock c, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * c[0];
    const uint64_t b = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ key[0], static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return c;
}

PhiloxKey philox_key(uint64_t seed, RandomPurpose purpose, uint64_t stream) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15ull;
  // The purpose is kept apart from the stream by the mixing between them.
  const uint64_t of_purpose = mix(mix(seed + kOdd) ^ static_cast<uint64_t>(purpose));
  const uint64_t key = mix(of_purpose ^ stream);
  return {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
}

uint64_t name_stream(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

void fill_uniform(std::span<float> values, uint64_t seed, uint64_t stream, int64_t begin, float low,
                  float high) {
  const PhiloxKey key = philox_key(seed, RandomPurpose::kInitialWeights, stream);
  const double width = static_cast<double>(high) - low;
  for_elements(
      values.size(), begin, [&](uint64_t index) { return element_block(index, key); },
      [&](size_t i, uint32_t word) {
        values[i] = static_cast<float>(low + width * to_unit(word));
      });
}

void fill_normal(std::span<float> values, uint64_t seed, uint64_t stream, int64_t begin,
                 float deviation) {
  const PhiloxKey key = philox_key(seed, RandomPurpose::kInitialWeights, stream);
  for_elements(
      values.size(), begin,
      [&](uint64_t index) {
        const PhiloxBlock words = element_block(index, key);
        const auto first = normal_pair(words[0], words[1]);
        const auto second = normal_pair(words[2], words[3]);
        return std::array<double, 4>{first[0], first[1], second[0], second[1]};
      },
      [&](size_t i, double normal) { values[i] = static_cast<float>(deviation * normal); });
}

}  // namespace heddle
