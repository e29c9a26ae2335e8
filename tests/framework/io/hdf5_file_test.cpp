#include "framework/io/hdf5_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "tests/framework/io/scratch.h"
#include "tests/support/faulty_file_system.h"

// HDF5 1.10 itself loses some 50 bytes where the continuation of an object's header cannot be read.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libhdf5";
}

namespace heddle {
namespace {

template <typename T>
std::vector<T> counting(size_t count) {
  std::vector<T> values(count);
  std::iota(values.begin(), values.end(), T{1});
  return values;
}

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

// A file with a dataset of every type, and some special shapes.
void write_all_types(FileSystem& files, const std::string& path) {
  Hdf5Writer writer(files, path);
  writer.create("f32", DType::kF32, {3000, 4});
  writer.create("group/deeper/bf16", DType::kBF16, {2, 3});
  writer.create("group/f16", DType::kF16, {4});
  writer.create("i32", DType::kI32, {2, 1, 2});
  writer.create("i64", DType::kI64, {});
  writer.create("u8", DType::kU8, {5});
  writer.create("none", DType::kF32, {0, 7});
  writer.write_rows("f32", 0, bytes_of(counting<float>(12000)));
  writer.write_rows("group/deeper/bf16", 0, bytes_of(counting<uint16_t>(6)));
  writer.write_rows("group/f16", 0, bytes_of(counting<uint16_t>(4)));
  writer.write_rows("i32", 0, bytes_of(counting<int32_t>(4)));
  writer.write_rows("i64", 0, bytes_of(counting<int64_t>(1)));
  writer.write_rows("u8", 0, bytes_of(counting<uint8_t>(5)));
  writer.write_rows("none", 0, {});
  EXPECT_EQ(writer.close(), files.size(path));
}

template <typename T>
std::vector<T> read(const Hdf5Reader& reader, const std::string& name, const Box& box) {
  std::vector<T> values(static_cast<size_t>(box.volume()));
  reader.read(name, box, std::as_writable_bytes(std::span(values)));
  return values;
}

TEST(Hdf5File, EveryTypeIsReadBack) {
  FaultyFileSystem disk;
  write_all_types(disk, "a.h5");
  const Hdf5Reader reader(disk, "a.h5");
  EXPECT_EQ(reader.datasets().size(), 7u);
  EXPECT_EQ(reader.at("group/deeper/bf16").dtype, DType::kBF16);
  EXPECT_EQ(reader.at("group/f16").dtype, DType::kF16);
  EXPECT_EQ(reader.at("i64").shape, std::vector<int64_t>{});
  EXPECT_EQ(reader.at("none").shape, (std::vector<int64_t>{0, 7}));
  EXPECT_EQ(reader.at("f32").offset % 4096, 0u);
  EXPECT_EQ(read<float>(reader, "f32", {{0, 0}, {3000, 4}}), counting<float>(12000));
  EXPECT_EQ(read<float>(reader, "f32", {{10, 1}, {2, 2}}), (std::vector<float>{42, 43, 46, 47}));
  EXPECT_EQ(read<uint16_t>(reader, "group/deeper/bf16", {{1, 0}, {1, 3}}),
            (std::vector<uint16_t>{4, 5, 6}));
  EXPECT_EQ(read<int32_t>(reader, "i32", {{1, 0, 1}, {1, 1, 1}}), std::vector<int32_t>{4});
  EXPECT_EQ(read<int64_t>(reader, "i64", {}), std::vector<int64_t>{1});
  EXPECT_EQ(read<uint8_t>(reader, "u8", {{2}, {3}}), (std::vector<uint8_t>{3, 4, 5}));
  EXPECT_TRUE(read<float>(reader, "none", {{0, 0}, {0, 7}}).empty());
}

TEST(Hdf5File, EqualContentGivesEqualBytes) {
  FaultyFileSystem disk;
  write_all_types(disk, "a.h5");
  write_all_types(disk, "b.h5");
  EXPECT_EQ(read_file(disk, "a.h5"), read_file(disk, "b.h5"));
}

TEST(Hdf5File, RowsAreAppendedAndReopened) {
  const Scratch scratch;
  PosixFileSystem files;
  const std::string path = scratch.path("features.h5");
  const std::vector<float> values = counting<float>(1000 * 8);
  {
    Hdf5Writer writer(files, path);
    writer.create("features", DType::kF32, {1000, 8});
    writer.create("row", DType::kI64, {1000});
    writer.seal();
    writer.write_rows("features", 0, bytes_of(values).first(600 * 32));
    // As if killed here: sealed, not closed.
  }
  EXPECT_EQ(read<float>(Hdf5Reader(files, path), "features", {{599, 0}, {2, 1}}),
            (std::vector<float>{599 * 8 + 1, 0}));
  Hdf5Writer writer = Hdf5Writer::reopen(files, path);
  writer.write_rows("features", 600, bytes_of(values).subspan(600 * 32));
  writer.close();
  EXPECT_EQ(read<float>(Hdf5Reader(files, path), "features", whole(std::vector<int64_t>{1000, 8})),
            values);
}

TEST(Hdf5File, ColumnsOfALargeArrayAreReadThroughTheBuffer) {
  FaultyFileSystem disk;
  Hdf5Writer writer(disk, "a.h5");
  writer.create("w", DType::kI32, {700, 1000});
  const std::vector<int32_t> values = counting<int32_t>(700000);
  writer.write_rows("w", 0, bytes_of(values));
  writer.close();
  const Hdf5Reader reader(disk, "a.h5");
  disk.never_fail();
  const std::vector<int32_t> part = read<int32_t>(reader, "w", {{1, 300}, {698, 10}});
  EXPECT_LT(disk.operations(), 10);
  for (size_t i = 0; i < part.size(); ++i) {
    ASSERT_EQ(part[i], static_cast<int32_t>((1 + i / 10) * 1000 + 300 + i % 10 + 1));
  }
  // A dataset that holds rows 100..799 of a larger tensor, read into rows 90..109.
  std::vector<int32_t> target(20 * 1000, -1);
  reader.read("w", {{100, 0}, {700, 1000}}, {{90, 0}, {20, 1000}},
              std::as_writable_bytes(std::span(target)));
  EXPECT_EQ(target[9999], -1);
  EXPECT_EQ(target[10000], 1);
  EXPECT_EQ(target[19999], 10000);
}

TEST(Hdf5File, CallersMistakesAreChecked) {
  FaultyFileSystem disk;
  Hdf5Writer writer(disk, "a.h5");
  writer.create("a", DType::kF32, {4, 2});
  for (const char* name : {"", "/x", "x/", "x//y", "a"}) {
    EXPECT_TRUE(has(error_text([&] { writer.create(name, DType::kF32, {1}); }),
                    "is no name for a new dataset"));
  }
  const std::vector<std::byte> bytes(24);
  EXPECT_TRUE(
      has(error_text([&] { writer.write_rows("b", 0, bytes); }), "there is no dataset 'b'"));
  EXPECT_TRUE(has(error_text([&] { writer.write_rows("a", 2, bytes); }),
                  "'a': 24 bytes from row 2 on. Expected at most 4 rows of 8 bytes"));
  EXPECT_TRUE(has(error_text([&] { writer.write_rows("a", 0, std::span(bytes).first(3)); }),
                  "3 bytes from row 0"));
  writer.seal();
  EXPECT_TRUE(has(error_text([&] { writer.create("c", DType::kF32, {1}); }), "the file is sealed"));
  writer.close();
  const Hdf5Reader reader(disk, "a.h5");
  std::vector<std::byte> target(8);
  EXPECT_TRUE(has(error_text([&] { reader.at("aa"); }), "a.h5: has no dataset 'aa'"));
  EXPECT_TRUE(has(error_text([&] {
                    reader.read("a", {{3, 0}, {2, 1}}, target);
                  }),
                  "'a' holds [0:4, 0:2], not [3:5, 0:1]"));
  EXPECT_TRUE(has(error_text([&] {
                    reader.read("a", {{0, 0}, {2, 2}}, target);
                  }),
                  "needs 16 bytes, not 8"));
  EXPECT_TRUE(has(error_text([&] {
                    reader.read("a", {{0}, {4}}, {{0}, {2}}, target);
                  }),
                  "is asked for [0:2] of [0:4]"));
}

TEST(Hdf5File, FailuresOfTheDiskArriveAsTheyAre) {
  FaultyFileSystem counted;
  write_all_types(counted, "a.h5");
  const std::string expected = read_file(counted, "a.h5");
  const int64_t operations = counted.operations();
  for (int64_t k = 0; k < operations; ++k) {
    for (const Fault fault :
         {Fault::kNoSpace, Fault::kIoError, Fault::kBroken, Fault::kCrash, Fault::kShortWrite}) {
      FaultyFileSystem disk;
      disk.fail_at(k, fault);
      try {
        write_all_types(disk, "a.h5");
        disk.never_fail();
        EXPECT_EQ(read_file(disk, "a.h5"), expected);
      } catch (const FileError& error) {
        EXPECT_TRUE(has(error.what(), "a.h5: cannot"));
      } catch (const SimulatedCrash&) {
        EXPECT_EQ(fault, Fault::kCrash);
      }
    }
  }
}

TEST(Hdf5File, FailuresOfReadingArriveAsTheyAre) {
  FaultyFileSystem disk;
  write_all_types(disk, "a.h5");
  disk.never_fail();
  { const Hdf5Reader reader(disk, "a.h5"); }
  const int64_t operations = disk.operations();
  for (int64_t k = 0; k < operations; ++k) {
    disk.fail_at(k, Fault::kIoError);
    EXPECT_TRUE(has(error_text([&] { Hdf5Reader(disk, "a.h5"); }), "Input/output error")) << k;
  }
}

TEST(Hdf5File, OtherFilesAreRefusedInHdf5sWords) {
  FaultyFileSystem disk;
  write_new_file(disk, "text", "this is no HDF5 file");
  EXPECT_TRUE(has(error_text([&] { Hdf5Reader(disk, "text"); }),
                  "text: HDF5 H5Fopen failed: file signature not found"));
  EXPECT_TRUE(has(error_text([&] { Hdf5Reader(disk, "none"); }), "none: cannot open"));
  write_all_types(disk, "cut.h5");
  disk.open("cut.h5", OpenMode::kUpdate)->truncate(disk.size("cut.h5") - 1);
  EXPECT_TRUE(
      has(error_text([&] { Hdf5Reader(disk, "cut.h5"); }), "cut.h5: HDF5 H5Fopen failed: "));
  write_new_file(disk, "a.h5", "");
  EXPECT_TRUE(
      has(error_text([&] { Hdf5Writer(disk, "a.h5"); }), "a.h5: cannot create: File exists"));
}

// Files made by make_refused_hdf5.py, one for each thing that Heddle never writes.
TEST(Hdf5File, WhatHeddleNeverWritesIsRefused) {
  PosixFileSystem files;
  const std::string folder = HEDDLE_SOURCE_DIR "/tests/framework/io/refused_hdf5/";
  const std::vector<std::pair<const char*, const char*>> cases{
      {"soft_link", "dataset 'link' is a soft link"},
      {"external_link", "dataset 'link' is an external link"},
      {"hard_link", "has a second name"},
      {"cycle", "has a second name"},
      {"chunked", "dataset 'a' is not contiguous"},
      {"compact", "dataset 'a' is not contiguous"},
      {"filtered", "dataset 'a' is not contiguous"},
      {"virtual", "dataset 'a' is virtual"},
      {"external", "dataset 'a' lies in an external file"},
      {"big_endian", "dataset 'a' has a type other than f32"},
      {"f64", "dataset 'a' has a type other than f32"},
      {"text", "dataset 'a' has a type other than f32"},
      {"unmarked_u16", "dataset 'a' has a type other than f32"},
      {"wrong_mark", "dataset 'a' has a type other than f32"},
      {"long_mark", "dataset 'a' has an unknown mark"},
      {"named_type", "dataset 'a' has a named type"},
      {"type_object", "dataset 't' is neither group nor dataset"},
      {"huge", "dataset 'a' has too many elements"},
      {"null_space", "dataset 'a' has no shape"},
      {"late", "dataset 'a' has no data"},
      {"deep", "lies in too many groups"},
  };
  for (const auto& [name, what] : cases) {
    const auto open = [&] { Hdf5Reader(files, folder + name + ".h5"); };
    EXPECT_TRUE(has(error_text(open), what)) << name;
    EXPECT_EQ(exit_code(open), ExitCode::kInput) << name;
  }
}

}  // namespace
}  // namespace heddle
