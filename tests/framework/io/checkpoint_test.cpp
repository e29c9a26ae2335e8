#include "framework/io/checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>

#include "framework/io/hash.h"
#include "tests/framework/io/checkpoint_fixture.h"
#include "tests/support/faulty_file_system.h"

namespace heddle {
namespace {

const OnFallback kNoFallback = [](const std::string& path, const std::string& reason) {
  ADD_FAILURE() << path << ": " << reason;
};

std::vector<std::string> names_in(FileSystem& files, const std::string& root) {
  return files.list(root);
}

TEST(Checkpoint, WhatWasSavedIsReadBack) {
  const Scratch scratch;
  PosixFileSystem files;
  const CheckpointPlace place{scratch.path("run/checkpoints"), 1200};
  const std::string path = save(files, place, {5});
  EXPECT_EQ(path, scratch.path("run/checkpoints/step-000001200"));
  EXPECT_EQ(names_in(files, path),
            (std::vector<std::string>{"manifest.json", "shard-000.h5", "shard-001.h5"}));
  for (const Verify verify : {Verify::kAtOpen, Verify::kOnUse}) {
    const Checkpoint checkpoint(files, scratch.path("run/checkpoints/last"), verify);
    EXPECT_EQ(checkpoint.step(), 1200);
    EXPECT_EQ(checkpoint.files().size(), 2u);
    EXPECT_EQ(checkpoint.tensors().at("weights/w").boxes.size(), 2u);
    EXPECT_TRUE(checkpoint.contains("adam/m"));
    EXPECT_EQ(expect_intact(checkpoint), 5);
  }
  EXPECT_TRUE(verify_checkpoint(files, path).is_good());
}

TEST(Checkpoint, BoxesAreReadByOtherBoxes) {
  FaultyFileSystem disk;
  const std::vector<int64_t> shape{30, 40, 3};
  std::vector<int32_t> values(static_cast<size_t>(volume(shape)));
  std::iota(values.begin(), values.end(), 0);
  const auto part = [&](const Box& box) {
    std::vector<int32_t> elements(static_cast<size_t>(box.volume()));
    for_each_run(whole(shape), box, box, [&](auto run) {
      std::copy_n(values.begin() + run.source, run.count, elements.begin() + run.target);
    });
    return elements;
  };
  const CheckpointPlace place{"root", 1};
  prepare_checkpoint(disk, place, 0);
  std::vector<ShardSummary> shards;
  const std::vector<Box> stored{
      {{0, 0, 0}, {11, 40, 3}}, {{11, 0, 0}, {19, 17, 3}}, {{11, 17, 0}, {19, 23, 3}}};
  for (size_t i = 0; i < stored.size(); ++i) {
    CheckpointWriter writer(disk, place, static_cast<int>(i));
    const std::vector<int32_t> elements = part(stored[i]);
    writer.add("t", DType::kI32, shape, stored[i], std::as_bytes(std::span(elements)));
    shards.push_back(writer.finish());
  }
  const Checkpoint checkpoint(disk, commit_checkpoint(disk, place, std::move(shards), {}));
  for (const Box& wanted :
       {Box{{0, 0, 0}, {30, 40, 3}}, Box{{5, 10, 1}, {20, 20, 1}}, Box{{0, 39, 0}, {30, 1, 3}},
        Box{{29, 0, 2}, {1, 40, 1}}, Box{{12, 18, 0}, {1, 1, 1}}, Box{{3, 3, 0}, {0, 5, 3}}}) {
    std::vector<int32_t> elements(static_cast<size_t>(wanted.volume()), -1);
    checkpoint.read("t", wanted, std::as_writable_bytes(std::span(elements)));
    EXPECT_EQ(elements, part(wanted)) << to_string(wanted);
  }
}

TEST(Checkpoint, WhatLiesTogetherCanBeHeldWithoutACopy) {
  FaultyFileSystem disk;
  const std::string path = save(disk, {"root", 3}, {7});
  const std::vector<float> weights = SmallState{7}.weights();
  std::shared_ptr<const std::byte> row;
  {
    const Checkpoint checkpoint(disk, path, Verify::kOnUse);
    row = checkpoint.hold("weights/w", {{3, 0}, {1, kColumns}});
    EXPECT_EQ(checkpoint.hold("weights/w", whole(std::vector<int64_t>{kRows, kColumns})),
              nullptr);                                                  // in two files
    EXPECT_EQ(checkpoint.hold("weights/w", {{0, 1}, {2, 2}}), nullptr);  // in two runs
    EXPECT_EQ(checkpoint.hold("empty", {{0, 0}, {0, 5}}), nullptr);
  }
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(std::memcmp(row.get(), weights.data() + 3 * kColumns, kColumns * sizeof(float)), 0);
  const std::string second = path + "/shard-001.h5";
  const std::byte other[] = {std::byte{42}};
  disk.open(second, OpenMode::kUpdate)->write_at(disk.size(second) - 1, other);
  const Checkpoint damaged(disk, path, Verify::kOnUse);
  EXPECT_NE(damaged.hold("weights/w", {{0, 0}, {2, kColumns}}), nullptr);
  EXPECT_TRUE(has(error_text([&] {
                    damaged.hold("weights/w", {{2, 0}, {2, kColumns}});
                  }),
                  "shard-001.h5: is damaged"));
}

TEST(Checkpoint, EqualStatesGiveEqualFiles) {
  FaultyFileSystem disk;
  const std::string a = save(disk, {"a", 3}, {1});
  const std::string b = save(disk, {"b", 3}, {1});
  for (const std::string& name : names_in(disk, a)) {
    EXPECT_EQ(read_file(disk, join_path(a, name)), read_file(disk, join_path(b, name))) << name;
  }
}

TEST(Checkpoint, OlderOnesGoButNeverTheBestNorTheLoaded) {
  FaultyFileSystem disk;
  save(disk, {"root", 1}, {1}, {.keep = 2});
  save(disk, {"root", 2}, {2}, {.keep = 2, .best = true});
  for (int step = 3; step <= 6; ++step) {
    save(disk, {"root", step}, {step}, {.keep = 2, .loaded = "root/step-000000001"});
  }
  EXPECT_EQ(names_in(disk, "root"),
            (std::vector<std::string>{"best", "last", "step-000000001", "step-000000002",
                                      "step-000000005", "step-000000006"}));
  EXPECT_EQ(expect_intact(Checkpoint(disk, "root/best")), 2);
  EXPECT_EQ(expect_intact(Checkpoint(disk, "root/last")), 6);
  save(disk, {"root", 7}, {7}, {.keep = 0});
  EXPECT_EQ(names_in(disk, "root"),
            (std::vector<std::string>{"best", "last", "step-000000002", "step-000000007"}));
}

TEST(Checkpoint, DamagedLaterStepsGoFirst) {
  FaultyFileSystem disk;
  save(disk, {"root", 1}, {1});
  save(disk, {"root", 9}, {9});
  disk.remove("root/step-000000009/shard-000.h5");
  save(disk, {"root", 5}, {5}, {.keep = 2});
  EXPECT_EQ(names_in(disk, "root"),
            (std::vector<std::string>{"last", "step-000000001", "step-000000005"}));
}

TEST(Checkpoint, SameStepIsSavedBesideTheOld) {
  FaultyFileSystem disk;
  save(disk, {"root", 4}, {1});
  EXPECT_EQ(save(disk, {"root", 4}, {2}), "root/step-000000004.2");
  EXPECT_EQ(expect_intact(*find_newest_valid(disk, "root", kNoFallback)), 2);
  EXPECT_EQ(save(disk, {"root", 4}, {3}, {.keep = 1}), "root/step-000000004.3");
  EXPECT_EQ(names_in(disk, "root"), (std::vector<std::string>{"last", "step-000000004.3"}));
}

TEST(Checkpoint, ForeignFilesAreNeverRemoved) {
  FaultyFileSystem disk;
  make_directories(disk, "root/.tmp-step-000000001");
  make_directories(disk, "root/.tmp-mine");
  make_directories(disk, "root/step-1");
  make_directories(disk, "root/step-000000002");
  write_new_file(disk, "root/.tmp-step-000000001/notes.txt", "mine");
  write_new_file(disk, "root/step-000000002/notes.txt", "mine");
  save(disk, {"root", 3}, {3}, {.keep = 1});
  EXPECT_EQ(read_file(disk, "root/.tmp-step-000000001/notes.txt"), "mine");
  EXPECT_TRUE(disk.exists("root/.tmp-mine"));
  EXPECT_TRUE(disk.exists("root/step-1"));
  EXPECT_EQ(list_checkpoints(disk, "root").size(), 1u);
  EXPECT_EQ(read_file(disk, "root/.tmp-step-000000002/notes.txt"), "mine");
}

TEST(Checkpoint, NewestValidOneIsFoundAndTheOthersAreTold) {
  FaultyFileSystem disk;
  EXPECT_FALSE(find_newest_valid(disk, "root", kNoFallback).has_value());
  save(disk, {"root", 1}, {1}, {.keep = 9});
  save(disk, {"root", 2}, {2}, {.keep = 9});
  save(disk, {"root", 3}, {3}, {.keep = 9});
  disk.remove("root/step-000000003/manifest.json");
  disk.open("root/step-000000002/shard-001.h5", OpenMode::kUpdate)->truncate(100);
  std::vector<std::string> told;
  const OnFallback tell = [&](const std::string& path, const std::string& reason) {
    told.push_back(path + " | " + reason);
  };
  EXPECT_EQ(expect_intact(*find_newest_valid(disk, "root", tell)), 1);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_TRUE(has(
      told[0],
      "root/step-000000003 | root/step-000000003: is no checkpoint: there is no manifest.json"));
  EXPECT_TRUE(has(told[1], "step-000000002/shard-001.h5: has 100 bytes; the manifest says"));
  disk.remove("root/step-000000001/shard-000.h5");
  const auto find = [&] { find_newest_valid(disk, "root", tell); };
  EXPECT_TRUE(has(error_text(find), "root: none of its 3 checkpoints is valid"));
  EXPECT_TRUE(has(told.back(), "shard-000.h5: the file is missing"));
  EXPECT_EQ(exit_code(find), ExitCode::kNoData);
}

TEST(Checkpoint, FullDiskIsSeenBeforeWriting) {
  FaultyFileSystem disk;
  save(disk, {"root", 1}, {1});
  disk.set_free_space(500000);
  EXPECT_EQ(error_text([&] {
              save(disk, {"root", 2}, {2});
            }),
            "root: has 0.5 MB free; the checkpoint of step 2 needs 1.1 MB");
  EXPECT_EQ(exit_code([&] { save(disk, {"root", 2}, {2}); }), ExitCode::kIo);
  EXPECT_EQ(expect_intact(*find_newest_valid(disk, "root", kNoFallback)), 1);
}

TEST(Checkpoint, CallersMistakesAreChecked) {
  FaultyFileSystem disk;
  const CheckpointPlace place{"root", 1};
  prepare_checkpoint(disk, place, 0);
  const std::vector<float> values(6);
  const auto bytes = std::as_bytes(std::span(values));
  CheckpointWriter writer(disk, place, 0);
  const auto fails = [&](auto body, const char* what) { EXPECT_TRUE(has(error_text(body), what)); };
  fails(
      [&] {
        writer.add("a[0]", DType::kF32, {6}, {{0}, {6}}, bytes);
      },
      "'a[0]' is no name for a tensor");
  fails(
      [&] {
        writer.add("a", DType::kF32, {6}, {{1}, {6}}, bytes);
      },
      "box [1:7] of tensor 'a' is not inside [0:6]");
  fails([&] { writer.add("a", DType::kF32, {6}, {{0}, {5}}, bytes); }, "has 24 bytes. Expected 20");
  writer.add("a", DType::kF32, {12}, {{0}, {6}}, bytes);
  fails(
      [&] {
        writer.add("a", DType::kF32, {13}, {{6}, {6}}, bytes);
      },
      "'a' comes with two dtypes or shapes");
  fails(
      [&] {
        writer.add("a", DType::kF32, {12}, {{0}, {6}}, bytes);
      },
      "is no name for a new dataset");
  const ShardSummary first = writer.finish();
  fails([&] { commit_checkpoint(disk, place, {first}, {}); },
        "tensor 'a' is not tiled by what was written: hole: 6 of 12");
  ShardSummary second = first;
  second.tensors["a"].shape = {13};
  fails(
      [&] {
        commit_checkpoint(disk, place, {first, second}, {});
      },
      "writers disagree on dtype or shape of tensor 'a'");
  fails([&] { commit_checkpoint(disk, place, {first, first}, {}); }, "overlap at [0:6]");
  fails([&] { prepare_checkpoint(disk, {"root", -1}, 0); }, "step -1. Expected at least 0");
}

TEST(Checkpoint, ReadingChecksNamesAndSizes) {
  FaultyFileSystem disk;
  const Checkpoint checkpoint(disk, save(disk, {"root", 1}, {1}));
  std::vector<std::byte> bytes(8);
  EXPECT_EQ(error_text([&] { checkpoint.at("weights/v"); }),
            "root/step-000000001: has no tensor 'weights/v'");
  EXPECT_EQ(error_hint([&] { checkpoint.at("weights/v"); }), "did you mean 'weights/w'?");
  EXPECT_TRUE(has(error_text([&] { checkpoint.read("weights/w", bytes); }), "has 96 bytes, not 8"));
  EXPECT_TRUE(has(error_text([&] {
                    checkpoint.read("weights/w", {{0, 5}, {1, 2}}, bytes);
                  }),
                  "[0:1, 5:7] of tensor 'weights/w' is not inside"));
  EXPECT_TRUE(has(error_text([&] { checkpoint.text("weights/w"); }),
                  "'weights/w' is f32 [4, 6] in 2 boxes. Expected a text"));
}

TEST(Checkpoint, ReportNamesEveryDamagedPart) {
  FaultyFileSystem disk;
  const std::string path = save(disk, {"root", 1}, {1});
  disk.open(path + "/shard-001.h5", OpenMode::kUpdate)
      ->write_at(2000, std::as_bytes(std::span("?", 1)));
  const CheckpointReport report = verify_checkpoint(disk, path);
  EXPECT_FALSE(report.is_good());
  EXPECT_EQ(report.files[0].fault, "");
  EXPECT_TRUE(has(report.files[1].fault, "shard-001.h5: is damaged: its content has hash"));
  for (const CheckedPart& tensor : report.tensors) {
    EXPECT_EQ(tensor.fault, tensor.name == "weights/w"
                                ? "[2:4, 0:6] lies in shard-001.h5, which is not valid"
                                : "");
  }
  EXPECT_EQ(report.tensors.back().what, "f32 [4, 6] in 2 boxes");
  write_file_atomically(disk, path + "/manifest.json", "{}");
  EXPECT_TRUE(has(verify_checkpoint(disk, path).fault, "manifest.json: is damaged: it is cut off"));
  write_file_atomically(disk, path + "/manifest.json", std::string(500, ' '));
  EXPECT_TRUE(has(verify_checkpoint(disk, path).fault, "it does not end as it should"));
}

// A manifest with `change` applied and the hash made right again.
std::string manifest_complaint(const std::function<void(Json&)>& change) {
  FaultyFileSystem disk;
  const std::string path = save(disk, {"root", 1}, {1});
  const std::string file = path + "/manifest.json";
  Json document = read_json(disk, file);
  change(document["manifest"]);
  std::string text =
      fmt::format("{{\"manifest\": {},\n\"xxh3_128\": \"", dump_json(document["manifest"]));
  text += hash_hex(text) + "\"}\n";
  write_file_atomically(disk, file, text);
  const auto open = [&] { Checkpoint(disk, path); };
  if (error_text(open) != "no error") {
    EXPECT_EQ(exit_code(open), ExitCode::kNoData);
  }
  return error_text(open);
}

TEST(Manifest, WhatIsNotAManifestOfOursIsRefused) {
  const auto complaint = manifest_complaint;
  EXPECT_EQ(complaint([](Json&) {}), "no error");
  EXPECT_TRUE(has(complaint([](Json& m) { m["version"] = 2; }),
                  "has format version 2. This program reads version 1"));
  EXPECT_TRUE(has(complaint([](Json& m) { m["format"] = "x"; }),
                  "'manifest.format' is 'x'. Expected 'heddle checkpoint'"));
  EXPECT_TRUE(has(complaint([](Json& m) { m.erase("step"); }), "'manifest' has no key 'step'"));
  EXPECT_TRUE(has(complaint([](Json& m) { m["files"][0]["name"] = "../shard-000.h5"; }),
                  "Expected shard-NNN….h5"));
  EXPECT_TRUE(has(complaint([](Json& m) { m["files"][0]["name"] = "shard-/../x.h5"; }),
                  "Expected shard-NNN….h5"));
  EXPECT_TRUE(
      has(complaint([](Json& m) { m["files"][0]["bytes"] = 1; }), "bytes; the manifest says 1"));
  EXPECT_TRUE(
      has(complaint([](Json& m) { std::swap(m["files"][0], m["files"][1]); }), "is missing"));
  const auto tensor = [&](const std::function<void(Json&)>& change) {
    return complaint([&](Json& m) { change(m["tensors"]["weights/w"]); });
  };
  EXPECT_TRUE(has(tensor([](Json& t) { t["dtype"] = "f23"; }), "is no dtype: unknown dtype 'f23'"));
  EXPECT_TRUE(has(tensor([](Json& t) { t["dtype"] = "i32"; }),
                  "is f32 [2, 6]; the manifest says i32 [2, 6]"));
  EXPECT_TRUE(has(tensor([](Json& t) {
                    t["shape"] = {5, 6};
                  }),
                  "is not tiled by its boxes: hole: 24 of 30"));
  EXPECT_TRUE(has(tensor([](Json& t) {
                    t["shape"] = {int64_t{1} << 40, int64_t{1} << 40};
                  }),
                  "has too many elements"));
  EXPECT_TRUE(has(tensor([](Json& t) {
                    t["boxes"][0]["begin"] = {1, 0};
                  }),
                  "overlap at [2:3, 0:6]"));
  EXPECT_TRUE(has(tensor([](Json& t) {
                    t["boxes"][0]["begin"] = {-1, 0};
                  }),
                  "Expected at least 0"));
  EXPECT_TRUE(has(tensor([](Json& t) {
                    t["boxes"][0]["extent"] = {2, 7};
                  }),
                  "[0:2, 0:7] is not inside [4, 6]"));
  EXPECT_TRUE(has(tensor([](Json& t) { t["boxes"][0]["file"] = 2; }), "Expected 0 to 1"));
  EXPECT_TRUE(
      has(tensor([](Json& t) { t["boxes"][0]["dataset"] = "x"; }), "dataset 'x' is missing"));
  EXPECT_TRUE(has(complaint([](Json& m) { m["tensors"].erase("adam/m"); }),
                  "has 3 datasets; the manifest says 2"));
}

TEST(Manifest, NewerVersionIsNotPassedOver) {
  FaultyFileSystem disk;
  save(disk, {"root", 1}, {1});
  const std::string file = save(disk, {"root", 2}, {2}) + "/manifest.json";
  std::string text = read_file(disk, file);
  const size_t at = text.find("\"version\": 1");
  text.replace(at, 12, "\"version\": 7");
  text.replace(text.size() - 35, 32, hash_hex(std::string_view(text).substr(0, text.size() - 35)));
  write_file_atomically(disk, file, text);
  EXPECT_TRUE(
      has(error_text([&] { find_newest_valid(disk, "root", kNoFallback); }), "format version 7"));
}

}  // namespace
}  // namespace heddle
