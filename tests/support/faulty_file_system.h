// A disk in memory that fails on demand: the evil twin of PosixFileSystem.
//
//   FaultyFileSystem disk;
//   save(disk);                                        // count what a save does
//   for (int64_t k = 0; k < disk.operations(); ++k) {
//     auto copy = before.clone();
//     copy->fail_at(k, Fault::kCrash);
//     EXPECT_THROW(save(*copy), SimulatedCrash);
//     auto after = copy->after_crash(Survival::kDurableOnly);   // what a restart finds
//   }
//
// It keeps two states of every file and directory: what programs see, and what was synced. Only the
// second is sure to survive a crash: a file's bytes after `sync`, a name after `sync_directory`.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/io/file_system.h"

namespace heddle {

// Not a std::exception, so that nothing handles it by accident. After it, every operation throws
// it.
struct SimulatedCrash {};

enum class Fault {
  kCrash,       // power is lost just before operation k
  kNoSpace,     // the disk is full from operation k on: what needs space fails, removing works
  kIoError,     // operation k fails with EIO, once
  kBroken,      // every operation from k on fails with EIO
  kShortWrite,  // if operation k writes, it writes half of the bytes and says so
};

// What a crash leaves of things that were not synced.
enum class Survival {
  kDurableOnly,  // nothing
  kEverything,   // all of it
  kRandom,       // any part, in pieces of 512 bytes and single names
};

class FaultyFileSystem final : public FileSystem {
 public:
  FaultyFileSystem();
  ~FaultyFileSystem() override;

  // Fails at the operation number `k`, counted from now on from 0.
  void fail_at(int64_t k, Fault fault);
  void never_fail();
  // Operations since the last `fail_at`, `never_fail` or construction.
  int64_t operations() const;
  void set_free_space(uint64_t bytes);

  std::unique_ptr<FaultyFileSystem> clone() const;
  std::unique_ptr<FaultyFileSystem> after_crash(Survival survival, uint64_t seed = 0) const;

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

 private:
  struct Node;
  struct Trouble;
  class OpenFile;
  class MappedNode;
  struct Place {
    std::shared_ptr<Node> directory;
    std::string name;
    std::shared_ptr<Node> node;  // null if nothing is there
  };

  Place find(const std::string& path, bool follow_last, int depth = 0) const;
  std::shared_ptr<Node> existing(const std::string& path, const char* operation,
                                 FileKind kind) const;
  std::shared_ptr<Node> existing(const std::string& path, const char* operation) const;
  void add(const std::string& path, const char* operation, std::shared_ptr<Node> node);

  std::shared_ptr<Node> root_;
  std::shared_ptr<Trouble> trouble_;
};

}  // namespace heddle
