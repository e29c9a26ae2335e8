#include "datasets/byte_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "datasets/paths.h"
#include "framework/core/error.h"

namespace heddle {
namespace {

class FileBytes : public ByteSource {
 public:
  FileBytes(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  ~FileBytes() override {
    if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
  }
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;

  size_t read(std::span<char> block) override {
    while (true) {
      const ssize_t n = ::read(descriptor_, block.data(), block.size());
      if (n >= 0) return static_cast<size_t>(n);
      if (errno != EINTR) {
        throw Error(ExitCode::kIo, fmt::format("{}: cannot read: {}", path_, std::strerror(errno)));
      }
    }
  }

 private:
  int descriptor_;
  std::string path_;
};

// What was read to look at it, and then the rest.
class Peeked : public ByteSource {
 public:
  Peeked(std::string front, std::unique_ptr<ByteSource> rest)
      : front_(std::move(front)), rest_(std::move(rest)) {}

  size_t read(std::span<char> block) override {
    if (used_ == front_.size()) return rest_->read(block);
    const size_t n = std::min(block.size(), front_.size() - used_);
    std::memcpy(block.data(), front_.data() + used_, n);
    used_ += n;
    return n;
  }

 private:
  std::string front_;
  size_t used_ = 0;
  std::unique_ptr<ByteSource> rest_;
};

std::string read_front(ByteSource& source, size_t size) {
  std::string front(size, '\0');
  size_t have = 0;
  while (have < size) {
    const size_t n = source.read({front.data() + have, size - have});
    if (n == 0) break;
    have += n;
  }
  front.resize(have);
  return front;
}

}  // namespace

std::unique_ptr<ByteSource> open_bytes(const std::string& path) {
  if (path == "-") return std::make_unique<FileBytes>(STDIN_FILENO, "standard input");
  require_file(path);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    throw Error(ExitCode::kIo, fmt::format("{}: cannot open: {}", path, std::strerror(errno)));
  }
  std::unique_ptr<ByteSource> source = std::make_unique<FileBytes>(descriptor, path);
  if (path.ends_with(".gz")) return gunzip(std::move(source), path);
  if (path.ends_with(".zst")) return unzstd(std::move(source), path);

  std::string front = read_front(*source, 4);
  using namespace std::string_view_literals;
  for (const auto& [magic, ending] :
       {std::pair{"\x1f\x8b"sv, ".gz"}, {"\x28\xb5\x2f\xfd"sv, ".zst"}}) {
    if (front.starts_with(magic)) {
      throw Error(ExitCode::kInput,
                  fmt::format("{}: is compressed, and its name does not say so", path),
                  fmt::format("rename it to {}{}", path, ending));
    }
  }
  return std::make_unique<Peeked>(std::move(front), std::move(source));
}

}  // namespace heddle
