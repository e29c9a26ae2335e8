#include "framework/io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace heddle {
namespace {

constexpr size_t kLongestHolder = 512;

}  // namespace

int try_flock(int descriptor) {
  int result = -1;
  do {
    result = ::flock(descriptor, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

FileLock::FileLock(const std::string& path)
    : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) obstacle_ = std::strerror(errno);
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool FileLock::take(const std::string& holder) {
  if (descriptor_ < 0) return false;
  if (const int reason = try_flock(descriptor_); reason != 0) {
    if (reason != EWOULDBLOCK) obstacle_ = std::strerror(reason);
    return false;
  }
  // For people alone: a name that a full disk does not take is no reason to go without the lock.
  if (::ftruncate(descriptor_, 0) == 0) {
    [[maybe_unused]] const ssize_t written = ::pwrite(descriptor_, holder.data(), holder.size(), 0);
  }
  return true;
}

std::string FileLock::holder() const {
  std::string text(kLongestHolder, '\0');
  const ssize_t size = descriptor_ < 0 ? 0 : ::pread(descriptor_, text.data(), text.size(), 0);
  text.resize(static_cast<size_t>(size > 0 ? size : 0));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace heddle
