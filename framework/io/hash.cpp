#include "framework/io/hash.h"

#include <xxhash.h>

#include <algorithm>
#include <new>
#include <vector>

namespace heddle {

namespace {

std::string hex_of(XXH128_hash_t hash) {
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace

void Hasher::Free::operator()(XXH3_state_s* state) const {
  XXH3_freeState(state);
}

Hasher::Hasher() : state_(XXH3_createState()) {
  if (state_ == nullptr) throw std::bad_alloc();
  XXH3_128bits_reset(state_.get());
}

Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::span<const std::byte> bytes) {
  if (!bytes.empty()) XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

std::string Hasher::hex() const {
  return hex_of(XXH3_128bits_digest(state_.get()));
}

std::string hash_hex(std::span<const std::byte> bytes) {
  return hex_of(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string hash_file(File& file) {
  constexpr uint64_t kPiece = 1 << 20;  // stays in the cache between reading and hashing
  const uint64_t size = file.size();
  std::vector<std::byte> buffer(std::min(kPiece, size));
  Hasher hasher;
  for (uint64_t offset = 0; offset < size; offset += kPiece) {
    const auto piece = std::span(buffer).first(std::min(kPiece, size - offset));
    file.read_at(offset, piece);
    hasher.update(piece);
  }
  return hasher.hex();
}

std::string hash_file(FileSystem& files, const std::string& path) {
  return hash_file(*files.open(path, OpenMode::kRead));
}

}  // namespace heddle
