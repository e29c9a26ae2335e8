// xxh3-128: a fast fingerprint that finds damage, not malice. Written as 32 hexadecimal digits.
//
//   Hasher hasher;
//   hasher.update(std::as_bytes(std::span(weights)));
//   std::string fingerprint = hasher.hex();
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "framework/io/file_system.h"

struct XXH3_state_s;  // xxhash.h

namespace heddle {

class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  // Of all bytes so far; more may follow.
  std::string hex() const;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

std::string hash_hex(std::span<const std::byte> bytes);
inline std::string hash_hex(std::string_view text) {
  return hash_hex(std::as_bytes(std::span(text)));
}

// Of a whole file, read in pieces.
std::string hash_file(FileSystem& files, const std::string& path);
std::string hash_file(File& file);

}  // namespace heddle
