// The bytes of a data file, decompressed: plain, .gz, .zst, or standard input.
//
//   std::unique_ptr<ByteSource> source = open_bytes("train.tsv.gz");
//   char block[65536];
//   while (size_t n = source->read(block)) { ... }
#pragma once

#include <memory>
#include <span>
#include <string>

namespace heddle {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills the front of `block`, which is not empty, and returns how many bytes; 0 only at the end.
  // Throws Error (kIo) when reading fails, (kInput) when what is compressed is damaged or cut
  // short.
  virtual size_t read(std::span<char> block) = 0;
};

// Opens `path` and decompresses it as its ending says; "-" is standard input, never decompressed.
// Throws Error: kInput if there is no such file (with the nearest name in its folder), if it is a
// folder, or if it is compressed and its name does not say so; kIo if it may not be read.
std::unique_ptr<ByteSource> open_bytes(const std::string& path);

// The layers of open_bytes, each in the one file that includes its library. `path` is for messages.
std::unique_ptr<ByteSource> gunzip(std::unique_ptr<ByteSource> compressed, std::string path);
std::unique_ptr<ByteSource> unzstd(std::unique_ptr<ByteSource> compressed, std::string path);

}  // namespace heddle
