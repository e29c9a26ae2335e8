#include "framework/io/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "framework/io/file_lock.h"

namespace heddle {

namespace {

ExitCode exit_code_of(const std::string& operation, int error_number) {
  const bool absent = error_number == ENOENT || error_number == EACCES || error_number == ENOTDIR ||
                      error_number == EISDIR || error_number == ELOOP;
  return absent && operation == "open" ? ExitCode::kInput : ExitCode::kIo;
}

std::string hint_of(int error_number) {
  switch (error_number) {
    case ENOSPC:
      return "free some space on this disk, or write elsewhere";
    case EDQUOT:
      return "your quota on this file system is used up";
    case EROFS:
      return "the file system is mounted read-only";
    case EMFILE:
      return "raise the limit on open files (ulimit -n)";
    default:
      return "";
  }
}

class PosixMapping final : public Mapping {
 public:
  explicit PosixMapping(std::span<const std::byte> bytes) { bytes_ = bytes; }
  ~PosixMapping() override {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }

  void release(std::span<const std::byte> part) const override {
    // Whole pages inside `part` only: a neighbour may still be in use.
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto start = reinterpret_cast<uintptr_t>(part.data());
    const uintptr_t first = (start + page - 1) / page * page;
    const uintptr_t last = (start + part.size()) / page * page;
    if (last > first) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
  }
};

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : value_(::open(path.c_str(), flags | O_CLOEXEC)) {
    if (value_ < 0) throw FileError(path, "open", errno);
  }
  ~Descriptor() { ::close(value_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int value() const { return value_; }

 private:
  int value_;
};

struct stat status_of(const std::string& path, int descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) throw FileError(path, "examine", errno);
  return status;
}

class PosixFile final : public File {
 public:
  PosixFile(const std::string& path, int descriptor) : File(path), descriptor_(descriptor) {}
  ~PosixFile() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  uint64_t size() override { return static_cast<uint64_t>(status_of(path(), descriptor_).st_size); }

  std::unique_ptr<Mapping> map() override {
    const uint64_t bytes = size();
    if (bytes == 0) return std::make_unique<PosixMapping>(std::span<const std::byte>());
    void* data = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, descriptor_, 0);
    if (data == MAP_FAILED) throw FileError(path(), "map into memory", errno);
    return std::make_unique<PosixMapping>(
        std::span<const std::byte>(static_cast<const std::byte*>(data), bytes));
  }

  void truncate(uint64_t size) override {
    if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) {
      throw FileError(path(), "truncate", errno);
    }
  }

  void sync() override {
    if (::fsync(descriptor_) != 0) throw FileError(path(), "fsync", errno);
  }

  void close() override {
    if (descriptor_ < 0) return;
    // The descriptor is gone whatever close answers; trying again could close someone else's.
    const int result = ::close(std::exchange(descriptor_, -1));
    if (result != 0 && errno != EINTR) throw FileError(path(), "close", errno);
  }

  bool try_lock() override { return try_flock(descriptor_) != EWOULDBLOCK; }

 protected:
  size_t read_some(uint64_t offset, std::span<std::byte> bytes) override {
    while (true) {
      const ssize_t count =
          ::pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (count >= 0) return static_cast<size_t>(count);
      if (errno != EINTR) throw FileError(path(), "read", errno);
    }
  }

  size_t write_some(uint64_t offset, std::span<const std::byte> bytes) override {
    while (true) {
      const ssize_t count =
          ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (count >= 0) return static_cast<size_t>(count);
      if (errno != EINTR) throw FileError(path(), "write", errno);
    }
  }

 private:
  int descriptor_;
};

}  // namespace

FileError::FileError(const std::string& path, const std::string& operation, int error_number)
    : Error(exit_code_of(operation, error_number),
            fmt::format("{}: cannot {}: {} (errno {})", path, operation,
                        std::strerror(error_number), error_number),
            hint_of(error_number)),
      error_number_(error_number) {}

std::shared_ptr<const std::byte> hold(std::shared_ptr<const Mapping> mapping,
                                      std::span<const std::byte> part) {
  return {part.data(),
          [mapping = std::move(mapping), part](const std::byte*) { mapping->release(part); }};
}

void File::read_at(uint64_t offset, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t count = read_some(offset, bytes);
    if (count == 0) {
      throw Error(ExitCode::kIo, fmt::format("{}: ends at byte {}, {} bytes too early", path_,
                                             offset, bytes.size()));
    }
    offset += count;
    bytes = bytes.subspan(count);
  }
}

void File::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t count = write_some(offset, bytes);
    if (count == 0) throw FileError(path_, "write", ENOSPC);
    offset += count;
    bytes = bytes.subspan(count);
  }
}

std::unique_ptr<File> PosixFileSystem::open(const std::string& path, OpenMode mode) {
  int flags = O_CLOEXEC;
  if (mode == OpenMode::kRead) flags |= O_RDONLY;
  if (mode == OpenMode::kCreate) flags |= O_RDWR | O_CREAT | O_EXCL;
  if (mode == OpenMode::kUpdate) flags |= O_RDWR;
  const int descriptor = ::open(path.c_str(), flags, 0666);
  if (descriptor < 0) {
    throw FileError(path, mode == OpenMode::kCreate ? "create" : "open", errno);
  }
  auto file = std::make_unique<PosixFile>(path, descriptor);
  if (S_ISDIR(status_of(path, descriptor).st_mode)) throw FileError(path, "open", EISDIR);
  return file;
}

FileKind PosixFileSystem::kind(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return FileKind::kMissing;
    throw FileError(path, "examine", errno);
  }
  if (S_ISREG(status.st_mode)) return FileKind::kFile;
  if (S_ISDIR(status.st_mode)) return FileKind::kDirectory;
  if (S_ISLNK(status.st_mode)) return FileKind::kSymlink;
  return FileKind::kOther;
}

uint64_t PosixFileSystem::size(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw FileError(path, "open", errno);
  return static_cast<uint64_t>(status.st_size);
}

uint64_t PosixFileSystem::free_space(const std::string& directory) {
  struct statvfs status {};
  if (::statvfs(directory.c_str(), &status) != 0) {
    throw FileError(directory, "ask for free space", errno);
  }
  return uint64_t{status.f_bavail} * status.f_frsize;
}

std::vector<std::string> PosixFileSystem::list(const std::string& directory) {
  DIR* stream = ::opendir(directory.c_str());
  if (stream == nullptr) throw FileError(directory, "open", errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int error_number = errno;
  ::closedir(stream);
  if (error_number != 0) throw FileError(directory, "list", error_number);
  std::sort(names.begin(), names.end());
  return names;
}

std::string PosixFileSystem::read_symlink(const std::string& path) {
  std::string target(4096, '\0');
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  if (size < 0) throw FileError(path, "read the link", errno);
  target.resize(static_cast<size_t>(size));
  return target;
}

void PosixFileSystem::make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) != 0) throw FileError(path, "make the directory", errno);
}

void PosixFileSystem::make_symlink(const std::string& target, const std::string& path) {
  if (::symlink(target.c_str(), path.c_str()) != 0) throw FileError(path, "make the link", errno);
}

void PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) {
    throw FileError(from, fmt::format("rename to '{}'", to), errno);
  }
}

void PosixFileSystem::remove(const std::string& path) {
  if (std::remove(path.c_str()) != 0) throw FileError(path, "remove", errno);
}

void PosixFileSystem::sync_directory(const std::string& path) {
  const Descriptor descriptor(path, O_RDONLY | O_DIRECTORY);
  // Some file systems have no fsync for directories and say so; their renames are synchronous.
  if (::fsync(descriptor.value()) != 0 && errno != EINVAL && errno != ENOTSUP) {
    throw FileError(path, "fsync", errno);
  }
}

}  // namespace heddle
