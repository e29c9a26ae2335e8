#include "framework/io/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "framework/io/json.h"
#include "tests/framework/io/scratch.h"
#include "tests/support/faulty_file_system.h"

namespace heddle {
namespace {

// A file of the format with this header and data, as bytes.
std::string file_of(std::string_view header, std::string_view data) {
  const uint64_t size = header.size();
  std::string content(reinterpret_cast<const char*>(&size), sizeof size);
  return content.append(header).append(data);
}

// The complaint about a file with this content.
std::string complaint(std::string_view content) {
  FaultyFileSystem disk;
  write_new_file(disk, "m.safetensors", content);
  return error_text([&] { SafetensorsFile::open(disk, "m.safetensors"); });
}

std::string complaint(std::string_view header, std::string_view data) {
  return complaint(file_of(header, data));
}

std::vector<float> numbers(size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

class SafetensorsTest : public testing::Test {
 protected:
  std::vector<SafetensorsTensor> tensors() const {
    return {{"b", DType::kU8, {3}, std::as_bytes(std::span("xyz", 3))},
            {"w", DType::kF32, {2, 3}, std::as_bytes(std::span(values_))},
            {"i", DType::kI64, {}, std::as_bytes(std::span(&integer_, 1))},
            {"none", DType::kBF16, {0, 4}, {}}};
  }
  std::vector<float> values_ = numbers(6);
  int64_t integer_ = -7;
  FaultyFileSystem disk_;
};

TEST_F(SafetensorsTest, WrittenFileIsReadBack) {
  write_safetensors(disk_, "m.safetensors", tensors(), {{"format", "pt"}, {"k", "v"}});
  const SafetensorsFile file = SafetensorsFile::open(disk_, "m.safetensors");
  EXPECT_EQ(file.names(), (std::vector<std::string>{"b", "i", "none", "w"}));
  EXPECT_EQ(file.metadata().at("k"), "v");
  const SafetensorsEntry& entry = file.at("w");
  EXPECT_EQ(entry.dtype, DType::kF32);
  EXPECT_EQ(entry.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(entry.bytes.data(), values_.data(), entry.bytes.size()), 0);
  EXPECT_EQ(file.at("i").shape, std::vector<int64_t>{});
  EXPECT_EQ(*reinterpret_cast<const int64_t*>(file.at("i").bytes.data()), -7);
  EXPECT_EQ(file.at("none").bytes.size(), 0u);
  file.release("w");
  // Aligned for every element type: the header is padded and larger elements come first.
  const std::string content = read_file(disk_, "m.safetensors");
  EXPECT_EQ(*reinterpret_cast<const uint64_t*>(content.data()) % 8, 0u);
  EXPECT_LT(file.at("i").bytes.data(), file.at("w").bytes.data());
}

TEST_F(SafetensorsTest, RealDiskIsMapped) {
  const Scratch scratch;
  PosixFileSystem files;
  write_safetensors_folder(files, scratch.path("out/model"), tensors());
  const SafetensorsFile file = SafetensorsFile::open(files, scratch.path("out/model"));
  file.release("w");
  EXPECT_EQ(std::memcmp(file.at("w").bytes.data(), values_.data(), 24), 0);
  EXPECT_EQ(file.paths(), std::vector<std::string>{scratch.path("out/model/model.safetensors")});
}

TEST_F(SafetensorsTest, LargeModelsAreWrittenInShards) {
  write_safetensors_folder(disk_, "model", tensors(), 26);
  EXPECT_EQ(disk_.list("model"),
            (std::vector<std::string>{
                "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                "model-00003-of-00003.safetensors", "model.safetensors.index.json"}));
  const Json index = read_json(disk_, "model/model.safetensors.index.json");
  EXPECT_EQ(index["metadata"]["total_size"], 35);
  EXPECT_EQ(index["weight_map"]["w"], "model-00002-of-00003.safetensors");
  for (const char* path : {"model", "model/model.safetensors.index.json"}) {
    const SafetensorsFile file = SafetensorsFile::open(disk_, path);
    EXPECT_EQ(file.names().size(), 4u);
    EXPECT_EQ(std::memcmp(file.at("w").bytes.data(), values_.data(), 24), 0);
  }
}

TEST_F(SafetensorsTest, IndexThatDoesNotFitIsRefused) {
  write_safetensors_folder(disk_, "model", tensors(), 26);
  const std::string path = "model/model.safetensors.index.json";
  const auto with = [&](const char* key, const char* value) {
    Json index = read_json(disk_, path);
    index["weight_map"][key] = value;
    if (std::string_view(value).empty()) index["weight_map"].erase(key);
    write_file_atomically(disk_, "model/x.index.json", dump_json(index));
    return error_text([&] { SafetensorsFile::open(disk_, "model/x.index.json"); });
  };
  EXPECT_TRUE(has(with("extra", "model-00001-of-00003.safetensors"),
                  "tensor 'extra' is not in model-00001-of-00003.safetensors"));
  EXPECT_TRUE(has(with("i", "model-00001-of-00003.safetensors"),
                  "tensor 'i' is in model-00003-of-00003.safetensors, not in model-00001"));
  EXPECT_TRUE(has(with("none", ""),
                  "tensor 'none' of model-00003-of-00003.safetensors is not in the index"));
  EXPECT_TRUE(
      has(with("w", "../secret"), "'weight_map.w' is '../secret'. Expected the name of a file"));
  EXPECT_TRUE(has(with("w", "/etc/passwd"), "Expected the name of a file beside the index"));
  EXPECT_TRUE(has(with("w", "gone.safetensors"), "model/gone.safetensors: cannot open"));
  const std::string copy = read_file(disk_, "model/model-00002-of-00003.safetensors");
  write_new_file(disk_, "model/twin.safetensors", copy);
  EXPECT_TRUE(has(with("v", "twin.safetensors"), "tensor 'w' is also in model/model-00002"));
}

TEST_F(SafetensorsTest, FolderWithoutWeightsSaysWhatItLooksFor) {
  disk_.make_directory("model");
  EXPECT_TRUE(has(error_text([&] { SafetensorsFile::open(disk_, "model"); }),
                  "model: holds neither model.safetensors nor model.safetensors.index.json"));
  EXPECT_TRUE(
      has(error_hint([&] { SafetensorsFile::open(disk_, "model"); }), "safe_serialization"));
  EXPECT_TRUE(
      has(error_text([&] { SafetensorsFile::open(disk_, "nothing"); }), "nothing: cannot open"));
}

TEST_F(SafetensorsTest, UnknownTensorNamesTheNearest) {
  write_safetensors(disk_, "m.safetensors", tensors());
  const SafetensorsFile file = SafetensorsFile::open(disk_, "m.safetensors");
  EXPECT_EQ(error_text([&] { file.at("nonne"); }), "m.safetensors: has no tensor 'nonne'");
  EXPECT_EQ(error_hint([&] { file.at("nonne"); }), "did you mean 'none'?");
  EXPECT_TRUE(file.contains("w"));
  EXPECT_FALSE(file.contains("v"));
}

TEST_F(SafetensorsTest, WriterChecksItsCaller) {
  std::vector<SafetensorsTensor> wrong = tensors();
  wrong[0].shape = {4};
  EXPECT_TRUE(has(error_text([&] { write_safetensors(disk_, "x", wrong); }),
                  "'b' has 3 bytes. Expected 4"));
  wrong = tensors();
  wrong[1].name = "b";
  EXPECT_TRUE(
      has(error_text([&] { write_safetensors(disk_, "x", wrong); }), "the name 'b' is taken"));
  EXPECT_FALSE(disk_.exists("x"));
}

TEST(Safetensors, BrokenHeadersAreRefused) {
  EXPECT_TRUE(has(complaint("1234567"), "has 7 bytes, too few for a safetensors file"));
  EXPECT_TRUE(has(complaint(std::string(8, '\xff')), "Expected at most 100000000; is this"));
  EXPECT_TRUE(
      has(complaint(std::string("\x09\0\0\0\0\0\0\0{}", 10)), "has 9 bytes, the file only 10"));
  EXPECT_TRUE(has(complaint(" {}", ""), "does not start with '{'"));
  EXPECT_TRUE(has(complaint("{", ""), "m.safetensors (header):1:2: syntax error"));
  EXPECT_TRUE(has(complaint(R"({"a":1,"a":2})", ""), "duplicate key 'a'"));
  EXPECT_TRUE(has(complaint(R"({"a":{"b":[[[]]]}})", ""), "nested deeper than 4"));
  EXPECT_TRUE(has(complaint(R"({"a":1})", ""), "'a' is a number (1). Expected an object"));
  EXPECT_TRUE(has(complaint(R"({"__metadata__":{"a":1}})", ""), "'__metadata__.a' is a number"));
  EXPECT_EQ(complaint("{}  ", ""), "no error");
}

TEST(Safetensors, BrokenTensorsAreRefused) {
  const auto of = [](std::string_view dtype, std::string_view shape, std::string_view offsets) {
    return complaint(fmt::format(R"({{"a":{{"dtype":{},"shape":{},"data_offsets":{}}}}})", dtype,
                                 shape, offsets),
                     "12345678");
  };
  EXPECT_EQ(of(R"("F32")", "[2]", "[0,8]"), "no error");
  EXPECT_EQ(of(R"("F32")", "[1,2,1]", "[0,8]"), "no error");
  EXPECT_TRUE(has(of(R"("F23")", "[2]", "[0,8]"), "'a.dtype' is an unknown dtype 'F23'"));
  EXPECT_TRUE(has(of("7", "[2]", "[0,8]"), "'a.dtype' is a number (7). Expected a string"));
  EXPECT_TRUE(has(of(R"("F32")", "[-2]", "[0,8]"), "'a.shape[0]' is (-2). Expected at least 0"));
  EXPECT_TRUE(has(of(R"("F32")", "[2.5]", "[0,8]"), "'a.shape[0]' is a number (2.5)"));
  EXPECT_TRUE(
      has(of(R"("F32")", "[4611686018427387904,4]", "[0,8]"), "'a.shape' has too many elements"));
  EXPECT_TRUE(has(of(R"("F32")", "[4294967296,4294967296]", "[0,0]"), "has too many elements"));
  EXPECT_TRUE(has(of(R"("F32")", "[2]", "[0,4]"), "is [0, 4]; 2 elements of F32 need 8 bytes"));
  EXPECT_TRUE(has(of(R"("F32")", "[2]", "[8,0]"), "is [8, 0]"));
  EXPECT_TRUE(has(of(R"("F32")", "[2]", "[0]"), "'a.data_offsets' has not 2 elements"));
  EXPECT_TRUE(has(of(R"("F32")", "[4]", "[0,16]"), "ends at byte 16 of the data, the data at 8"));
  EXPECT_TRUE(
      has(of(R"("F32")", "[2]", "[18446744073709551608,18446744073709551616]"), "data_offsets[0]"));
  EXPECT_TRUE(has(of(R"("F32")", "[1]", "[0,4]"), "its tensors have 4 bytes, the file 8"));
  EXPECT_TRUE(
      has(of(R"("F32")", "[1]", "[4,8]"), "tensor 'a' begins at byte 4 of the data. Expected 0"));
  EXPECT_TRUE(
      has(complaint(R"({"a":{"dtype":"U8","shape":[1]}})", "1"), "'a' has no key 'data_offsets'"));
  EXPECT_TRUE(has(complaint(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", "1"),
                  "'a' has an unknown key 'x'"));
}

TEST(Safetensors, OverlapAndHoleAreRefused) {
  const auto two = [](const char* first, const char* second) {
    return complaint(fmt::format(R"({{"a":{{"dtype":"U8","shape":[2],"data_offsets":{}}},)"
                                 R"("b":{{"dtype":"U8","shape":[2],"data_offsets":{}}}}})",
                                 first, second),
                     "12345");
  };
  EXPECT_TRUE(has(two("[0,2]", "[1,3]"),
                  "tensor 'b' begins at byte 1 of the data. Expected 2: tensors "
                  "follow each other without overlap"));
  EXPECT_TRUE(has(two("[3,5]", "[0,2]"),
                  "tensor 'a' begins at byte 3 of the data. Expected 2: tensors "
                  "follow each other without hole"));
}

TEST(Safetensors, DTypeThatHeddleLacksIsRefusedOnUseOnly) {
  FaultyFileSystem disk;
  write_new_file(disk, "m",
                 file_of(R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", "12345678"));
  const SafetensorsFile file = SafetensorsFile::open(disk, "m");
  EXPECT_TRUE(
      has(error_text([&] { file.at("a"); }), "m: tensor 'a' has dtype F64. Expected F32, BF16"));
}

// Whatever is flipped: an error, or a file whose tensors lie within it (read here, under ASan).
void expect_contained(const std::string& content) {
  FaultyFileSystem disk;
  write_new_file(disk, "m", content);
  try {
    const SafetensorsFile file = SafetensorsFile::open(disk, "m");
    size_t total = 0;
    for (const std::string& name : file.names()) {
      try {
        const SafetensorsEntry& entry = file.at(name);
        for (const std::byte byte : entry.bytes) total += static_cast<size_t>(byte) * 0 + 1;
      } catch (const Error&) {
      }
    }
    EXPECT_LE(total, content.size());
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput) << error.what();
  }
}

TEST_F(SafetensorsTest, EveryFlippedBitOfTheHeaderIsContained) {
  write_safetensors(disk_, "m.safetensors", tensors());
  const std::string content = read_file(disk_, "m.safetensors");
  const uint64_t header = *reinterpret_cast<const uint64_t*>(content.data());
  for (size_t bit = 0; bit < (8 + header) * 8; ++bit) {
    std::string flipped = content;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    expect_contained(flipped);
  }
}

TEST_F(SafetensorsTest, EveryTruncationIsRefused) {
  write_safetensors(disk_, "m.safetensors", tensors());
  const std::string content = read_file(disk_, "m.safetensors");
  for (size_t size = 0; size < content.size(); ++size) {
    EXPECT_NE(complaint(content.substr(0, size)), "no error") << size;
  }
  EXPECT_NE(complaint(content + "x"), "no error");
}

}  // namespace
}  // namespace heddle
