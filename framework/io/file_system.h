// The door to the disk. Everything that must survive a crash goes through `FileSystem`, so that a
// test can put a disk behind it that fails, fills up or loses power at any operation.
//
//   PosixFileSystem files;
//   write_file_atomically(files, "run/run.json", text);   // the old or the new text, never half
//   std::string text = read_file(files, "run/run.json");
//
// Every failure is a `FileError` with the path, the operation and the text of errno. Its exit code
// is kInput where something asked for by name cannot be read (missing, forbidden), else kIo.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/core/error.h"

namespace heddle {

class FileError : public Error {
 public:
  // `operation` completes "cannot ...", for instance "write" or "rename to 'b'".
  FileError(const std::string& path, const std::string& operation, int error_number);
  int error_number() const { return error_number_; }  // errno, such as ENOSPC

 private:
  int error_number_;
};

// A file's content in memory, read-only, for as long as this lives.
class Mapping {
 public:
  virtual ~Mapping() = default;
  std::span<const std::byte> bytes() const { return bytes_; }
  // Gives the memory behind a part of `bytes()` back; it is read from the file again if touched.
  virtual void release(std::span<const std::byte> part) const = 0;

 protected:
  std::span<const std::byte> bytes_;
};

// The beginning of `part` of `mapping`, which stays mapped as long as someone holds that. The last
// one to let go releases the part.
std::shared_ptr<const std::byte> hold(std::shared_ptr<const Mapping> mapping,
                                      std::span<const std::byte> part);

// An open file. The destructor closes it; only `close` tells whether that went well.
class File {
 public:
  virtual ~File() = default;

  // Fills `bytes` from `offset`. Throws if the file ends before.
  void read_at(uint64_t offset, std::span<std::byte> bytes);
  // Writes all of `bytes` at `offset`; the file grows as needed.
  void write_at(uint64_t offset, std::span<const std::byte> bytes);

  virtual uint64_t size() = 0;
  virtual std::unique_ptr<Mapping> map() = 0;  // of all that it holds now; outlives the file
  virtual void truncate(uint64_t size) = 0;
  virtual void sync() = 0;   // content is on the disk when it returns
  virtual void close() = 0;  // idempotent
  // Takes the file for this process until it is closed, however that ends; false if another has it.
  // True where the file system has no locks.
  virtual bool try_lock() { return true; }
  const std::string& path() const { return path_; }

 protected:
  explicit File(std::string path) : path_(std::move(path)) {}
  // One system call: may do less than asked; 0 from `read_some` is the end of the file.
  virtual size_t read_some(uint64_t offset, std::span<std::byte> bytes) = 0;
  virtual size_t write_some(uint64_t offset, std::span<const std::byte> bytes) = 0;

 private:
  std::string path_;
};

enum class FileKind { kMissing, kFile, kDirectory, kSymlink, kOther };

enum class OpenMode {
  kRead,
  kCreate,  // read and write; must not exist yet
  kUpdate,  // read and write; must exist
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual std::unique_ptr<File> open(const std::string& path, OpenMode mode) = 0;
  // What is at `path` itself; a symbolic link is not followed.
  virtual FileKind kind(const std::string& path) = 0;
  virtual uint64_t size(const std::string& path) = 0;
  virtual uint64_t free_space(const std::string& directory) = 0;
  virtual std::vector<std::string> list(const std::string& directory) = 0;  // names, sorted
  virtual std::string read_symlink(const std::string& path) = 0;

  virtual void make_directory(const std::string& path) = 0;  // its parent must exist
  virtual void make_symlink(const std::string& target, const std::string& path) = 0;
  virtual void rename(const std::string& from,
                      const std::string& to) = 0;    // replaces a file or link
  virtual void remove(const std::string& path) = 0;  // a file, a link or an empty directory
  // Names created, renamed and removed in `path` are on the disk when it returns.
  virtual void sync_directory(const std::string& path) = 0;

  std::unique_ptr<Mapping> map(const std::string& path) {
    return open(path, OpenMode::kRead)->map();
  }
  // True if something is there; follows no link.
  bool exists(const std::string& path) { return kind(path) != FileKind::kMissing; }
  // True for a directory or a link to one.
  bool is_directory(const std::string& path) { return kind(path + "/.") == FileKind::kDirectory; }
};

// The operating system's files. It holds no state: any number may exist.
class PosixFileSystem final : public FileSystem {
 public:
  std::unique_ptr<File> open(const std::string& path, OpenMode mode) override;
  FileKind kind(const std::string& path) override;
  uint64_t size(const std::string& path) override;
  uint64_t free_space(const std::string& directory) override;
  std::vector<std::string> list(const std::string& directory) override;
  std::string read_symlink(const std::string& path) override;
  void make_directory(const std::string& path) override;
  void make_symlink(const std::string& target, const std::string& path) override;
  void rename(const std::string& from, const std::string& to) override;
  void remove(const std::string& path) override;
  void sync_directory(const std::string& path) override;
};

// "a" and "b" -> "a/b"; an absolute `name` or an empty `directory` gives `name`.
std::string join_path(std::string_view directory, std::string_view name);
// "a/b" -> "a"; "b" -> "."; "/b" -> "/".
std::string parent_path(std::string_view path);
// "a/b" -> "b"; "a/b/" -> "b".
std::string base_name(std::string_view path);

// The whole file. Throws Error(kInput) if it is larger than `limit` bytes.
std::string read_file(FileSystem& files, const std::string& path,
                      uint64_t limit = uint64_t{1} << 31);
// Temporary file beside `path` that `write` fills, fsync, rename, fsync of the directory: after a
// crash `path` holds the old or the new content. Nothing is left behind when it throws (unless
// removing fails too).
void write_atomically(FileSystem& files, const std::string& path,
                      const std::function<void(File&)>& write);
void write_file_atomically(FileSystem& files, const std::string& path, std::string_view content);
// Throws as that would for want of a folder or of a permission: what is written at the end of long
// work is tried at its beginning. Changes nothing.
void require_writable(FileSystem& files, const std::string& path);
// A new file with this content, on the disk when it returns; its name may not be yet.
void write_new_file(FileSystem& files, const std::string& path, std::string_view content);
// Makes the link or moves it in one step, on the disk when it returns.
void replace_symlink(FileSystem& files, const std::string& target, const std::string& path);
// Makes the directory and those above it that are missing; their names are on the disk.
void make_directories(FileSystem& files, const std::string& path);
// What `path` leads to: itself unless it is a symbolic link, whose target need not exist.
std::string follow_links(FileSystem& files, std::string path);
// Removes what is there, with everything below; follows no link. Nothing there is no error.
void remove_tree(FileSystem& files, const std::string& path);

}  // namespace heddle
