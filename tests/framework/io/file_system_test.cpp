#include "framework/io/file_system.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "framework/io/hash.h"
#include "tests/framework/io/scratch.h"
#include "tests/support/faulty_file_system.h"

namespace heddle {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// The same behaviour from the real disk and from the model of one.
template <typename Files>
class FileSystemTest : public testing::Test {
 protected:
  void SetUp() override { make_directories(files_, root_); }
  std::string path(std::string_view name) const { return join_path(root_, name); }
  void create(std::string_view name, std::string_view content) {
    write_new_file(files_, path(name), content);
  }

  Scratch scratch_;
  std::string root_ = scratch_.path() + "/a/b";
  Files files_;
};

using FileSystems = testing::Types<PosixFileSystem, FaultyFileSystem>;
TYPED_TEST_SUITE(FileSystemTest, FileSystems);

TYPED_TEST(FileSystemTest, FilesAreWrittenReadAndTruncated) {
  auto file = this->files_.open(this->path("f"), OpenMode::kCreate);
  file->write_at(0, bytes_of("hello"));
  file->write_at(8, bytes_of("world"));
  file->sync();
  file->close();
  EXPECT_EQ(read_file(this->files_, this->path("f")), std::string("hello\0\0\0world", 13));
  file = this->files_.open(this->path("f"), OpenMode::kUpdate);
  file->truncate(4);
  EXPECT_EQ(file->size(), 4u);
  EXPECT_EQ(this->files_.size(this->path("f")), 4u);
  std::vector<std::byte> buffer(5);
  EXPECT_TRUE(
      has(error_text([&] { file->read_at(0, buffer); }), "ends at byte 4, 1 bytes too early"));
  const auto mapping = this->files_.map(this->path("f"));
  EXPECT_EQ(mapping->bytes().size(), 4u);
  mapping->release(mapping->bytes());
  EXPECT_EQ(static_cast<char>(mapping->bytes()[1]), 'e');
}

TYPED_TEST(FileSystemTest, NamesAreListedRenamedAndRemoved) {
  this->create("b", "1");
  this->create("a", "2");
  this->files_.make_directory(this->path("d"));
  this->files_.make_symlink("a", this->path("l"));
  EXPECT_EQ(this->files_.list(this->root_), (std::vector<std::string>{"a", "b", "d", "l"}));
  EXPECT_EQ(this->files_.kind(this->path("l")), FileKind::kSymlink);
  EXPECT_EQ(this->files_.kind(this->path("d")), FileKind::kDirectory);
  EXPECT_EQ(this->files_.kind(this->path("x")), FileKind::kMissing);
  EXPECT_EQ(this->files_.read_symlink(this->path("l")), "a");
  EXPECT_EQ(read_file(this->files_, this->path("l")), "2");
  EXPECT_TRUE(this->files_.is_directory(this->path("d")));
  EXPECT_FALSE(this->files_.is_directory(this->path("a")));
  EXPECT_FALSE(this->files_.is_directory(this->path("l")));
  EXPECT_FALSE(this->files_.is_directory(this->path("x")));
  replace_symlink(this->files_, "b", this->path("l"));
  EXPECT_EQ(read_file(this->files_, this->path("l")), "1");
  this->files_.rename(this->path("b"), this->path("a"));
  EXPECT_EQ(read_file(this->files_, this->path("a")), "1");
  EXPECT_FALSE(this->files_.exists(this->path("b")));
  this->files_.sync_directory(this->root_);
  remove_tree(this->files_, this->root_);
  EXPECT_FALSE(this->files_.exists(this->root_));
  remove_tree(this->files_, this->root_);
}

TYPED_TEST(FileSystemTest, ErrorsNamePathOperationAndReason) {
  FileSystem& files = this->files_;
  const auto message = [&](auto body) { return error_text(body); };
  const std::string none = this->path("none");
  this->create("f", "1");
  const std::string f = this->path("f");
  const auto fails = [&](const std::string& text, const std::string& where, const char* what) {
    EXPECT_TRUE(has(text, where + ": cannot " + what)) << what;
  };
  fails(message([&] { files.open(none, OpenMode::kRead); }), none,
        "open: No such file or directory (errno 2)");
  fails(message([&] { files.open(none, OpenMode::kUpdate); }), none, "open: No such file");
  fails(message([&] { files.open(f, OpenMode::kCreate); }), f, "create: File exists");
  fails(message([&] { files.open(this->root_, OpenMode::kRead); }), this->root_,
        "open: Is a directory");
  fails(message([&] { files.open(f + "/x", OpenMode::kRead); }), f + "/x", "open: Not a directory");
  fails(message([&] { files.map(none); }), none, "open: No such file");
  fails(message([&] { files.map(this->root_); }), this->root_, "open: Is a directory");
  fails(message([&] { files.size(none); }), none, "open: No such file");
  fails(message([&] { files.list(none); }), none, "open: No such file");
  fails(message([&] { files.read_symlink(f); }), f, "read the link: Invalid argument");
  fails(message([&] { files.make_directory(f); }), f, "make the directory: File exists");
  fails(message([&] { files.make_symlink("a", f); }), f, "make the link: File exists");
  fails(message([&] { files.rename(none, f); }), none, "rename to '");
  fails(message([&] { files.remove(this->root_); }), this->root_, "remove: Directory not empty");
  fails(message([&] { files.sync_directory(none); }), none, "open: No such file");
  fails(message([&] { files.free_space(none); }), none, "ask for free space: No such file");
  EXPECT_TRUE(has(message([&] { read_file(files, f, 0); }), "has 1 bytes. Expected at most 0."));
  EXPECT_EQ(exit_code([&] { files.open(none, OpenMode::kRead); }), ExitCode::kInput);
  EXPECT_EQ(exit_code([&] { files.remove(none); }), ExitCode::kIo);
  EXPECT_GT(files.free_space(this->root_), 1000u);
}

TYPED_TEST(FileSystemTest, AtomicWriteReplacesAndCleansUp) {
  write_file_atomically(this->files_, this->path("f"), "one");
  write_file_atomically(this->files_, this->path("f"), "two");
  EXPECT_EQ(read_file(this->files_, this->path("f")), "two");
  this->create(".f.tmp", "left by a run that died");
  write_file_atomically(this->files_, this->path("f"), "three");
  EXPECT_EQ(this->files_.list(this->root_), std::vector<std::string>{"f"});
  this->files_.make_directory(this->path("d"));
  write_new_file(this->files_, this->path("d/x"), "");
  EXPECT_TRUE(has(error_text([&] { write_file_atomically(this->files_, this->path("d"), "x"); }),
                  "cannot rename to"));
  EXPECT_EQ(this->files_.list(this->root_), (std::vector<std::string>{"d", "f"}));
}

TEST(Paths, AreJoinedAndSplit) {
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("a/", "b"), "a/b");
  EXPECT_EQ(join_path("", "b"), "b");
  EXPECT_EQ(join_path("a", "/b"), "/b");
  EXPECT_EQ(parent_path("a/b"), "a");
  EXPECT_EQ(parent_path("a/b/"), "a");
  EXPECT_EQ(parent_path("b"), ".");
  EXPECT_EQ(parent_path("/b"), "/");
  EXPECT_EQ(parent_path("/"), "/");
  EXPECT_EQ(base_name("a/b/"), "b");
  EXPECT_EQ(base_name("b"), "b");
}

TEST(Hash, IsXxh3AndTheSameInPieces) {
  EXPECT_EQ(hash_hex(""), "99aa06d3014798d86001c324468d497f");  // the specification's test vector
  std::string text(100000, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31);
  Hasher hasher;
  hasher.update(std::string_view(text).substr(0, 777));
  hasher.update(std::string_view(text).substr(777));
  EXPECT_EQ(hasher.hex(), hash_hex(text));
  const Scratch scratch;
  PosixFileSystem files;
  EXPECT_EQ(hash_file(files, scratch.write("f", text)), hash_hex(text));
  text[5000] = static_cast<char>(text[5000] ^ 1);
  EXPECT_NE(hasher.hex(), hash_hex(text));
}

TEST(FaultyFileSystem, OnlySyncedThingsSurviveACrash) {
  FaultyFileSystem disk;
  disk.make_directory("d");
  disk.sync_directory("/");
  write_new_file(disk, "d/synced", "1");
  disk.sync_directory("d");
  write_new_file(disk, "d/no-name", "2");
  disk.open("d/synced", OpenMode::kUpdate)->write_at(0, bytes_of("X"));
  const auto least = disk.after_crash(Survival::kDurableOnly);
  EXPECT_EQ(least->list("d"), std::vector<std::string>{"synced"});
  EXPECT_EQ(read_file(*least, "d/synced"), "1");
  const auto most = disk.after_crash(Survival::kEverything);
  EXPECT_EQ(most->list("d").size(), 2u);
  EXPECT_EQ(read_file(*most, "d/synced"), "X");
}

TEST(FaultyFileSystem, FaultsHappenAtTheirOperation) {
  FaultyFileSystem disk;
  disk.fail_at(1, Fault::kShortWrite);
  write_new_file(disk, "f", "abcdefg");  // create, write 4, write 3, fsync, close
  EXPECT_EQ(disk.operations(), 5);
  EXPECT_EQ(read_file(disk, "f"), "abcdefg");
  disk.fail_at(1, Fault::kNoSpace);
  EXPECT_TRUE(has(error_text([&] { write_new_file(disk, "g", "x"); }),
                  "No space left on device (errno 28)"));
  EXPECT_TRUE(has(error_hint([&] { write_new_file(disk, "h", "x"); }), "free some space"));
  disk.remove("g");
  disk.fail_at(2, Fault::kIoError);
  EXPECT_TRUE(
      has(error_text([&] { write_new_file(disk, "g", "x"); }), "cannot fsync: Input/output error"));
  disk.fail_at(0, Fault::kCrash);
  EXPECT_THROW(disk.list("/"), SimulatedCrash);
  EXPECT_THROW(disk.remove("f"), SimulatedCrash);
}

TEST(AtomicWrite, IsOldOrNewAfterAnyFaultAtAnyOperation) {
  FaultyFileSystem before;
  write_file_atomically(before, "f", "old");
  const auto counted = before.clone();
  write_file_atomically(*counted, "f", "new!");
  ASSERT_GT(counted->operations(), 4);
  for (int64_t k = 0; k < counted->operations(); ++k) {
    for (const Fault fault :
         {Fault::kCrash, Fault::kNoSpace, Fault::kIoError, Fault::kShortWrite}) {
      const auto disk = before.clone();
      disk->fail_at(k, fault);
      bool told = false;
      try {
        write_file_atomically(*disk, "f", "new!");
      } catch (const SimulatedCrash&) {
        told = true;
      } catch (const FileError&) {
        told = true;
      }
      disk->never_fail();
      if (!told) {
        EXPECT_EQ(read_file(*disk, "f"), "new!");
      }
      for (uint64_t seed = 0; seed < 8; ++seed) {
        const auto after = disk->after_crash(seed == 0   ? Survival::kDurableOnly
                                             : seed == 1 ? Survival::kEverything
                                                         : Survival::kRandom,
                                             seed);
        const std::string text = read_file(*after, "f");
        if (told) {
          EXPECT_TRUE(text == "old" || text == "new!") << k << ": " << text;
        } else {
          EXPECT_EQ(text, "new!") << k;
        }
      }
    }
  }
}

}  // namespace
}  // namespace heddle
