// What survives: every operation of a save fails in every way, every byte of a checkpoint is
// flipped, every file is cut at every length. A reader then finds the previous or the new state,
// whole.
#include <gtest/gtest.h>

#include "tests/framework/io/checkpoint_fixture.h"
#include "tests/support/faulty_file_system.h"

namespace heddle {
namespace {

constexpr int kOld = 1;
constexpr int kNew = 2;
const std::string kRoot = "run/checkpoints";
const CommitOptions kOptions{.metadata = {}, .keep = 1, .best = true, .loaded = ""};

std::unique_ptr<FaultyFileSystem> disk_with_old_state() {
  auto disk = std::make_unique<FaultyFileSystem>();
  save(*disk, {kRoot, 10}, {kOld}, kOptions);
  return disk;
}

// The state that a restart finds.
int found_state(FaultyFileSystem& disk) {
  const auto newest = find_newest_valid(disk, kRoot, [](const auto& path, const auto& reason) {
    ADD_FAILURE() << path << ": " << reason;
  });
  if (!newest) return 0;
  // Links lead to whole checkpoints too.
  for (const char* link : {"/best", "/last"}) expect_intact(Checkpoint(disk, kRoot + link));
  return expect_intact(*newest);
}

// The same; a save must then work again.
int restart(FaultyFileSystem& disk) {
  const int found = found_state(disk);
  save(disk, {kRoot, 30}, {3}, kOptions);
  EXPECT_EQ(expect_intact(Checkpoint(disk, kRoot + "/last")), 3);
  EXPECT_EQ(disk.list(kRoot), (std::vector<std::string>{"best", "last", "step-000000030"}));
  return found;
}

std::vector<std::unique_ptr<FaultyFileSystem>> crashes(const FaultyFileSystem& disk,
                                                       uint64_t random_ones = 4) {
  std::vector<std::unique_ptr<FaultyFileSystem>> after;
  after.push_back(disk.after_crash(Survival::kDurableOnly));
  after.push_back(disk.after_crash(Survival::kEverything));
  for (uint64_t seed = 0; seed < random_ones; ++seed)
    after.push_back(disk.after_crash(Survival::kRandom, seed));
  return after;
}

int64_t operations_of_a_save() {
  const auto disk = disk_with_old_state();
  disk->never_fail();
  save(*disk, {kRoot, 20}, {kNew}, kOptions);
  return disk->operations();
}

TEST(CheckpointFaults, CrashAtAnyOperationLeavesOldOrNewState) {
  const int64_t operations = operations_of_a_save();
  ASSERT_GT(operations, 30);
  int old_states = 0, new_states = 0;
  for (int64_t k = 0; k < operations; ++k) {
    const auto disk = disk_with_old_state();
    disk->fail_at(k, Fault::kCrash);
    EXPECT_THROW(save(*disk, {kRoot, 20}, {kNew}, kOptions), SimulatedCrash);
    int64_t number = 0;
    for (const auto& after : crashes(*disk, 10)) {
      const int found = number++ < 3 ? restart(*after) : found_state(*after);
      EXPECT_TRUE(found == kOld || found == kNew) << "operation " << k;
      (found == kOld ? old_states : new_states) += 1;
    }
  }
  EXPECT_GT(old_states, 0);
  EXPECT_GT(new_states, 0);
}

TEST(CheckpointFaults, FinishedSaveSurvivesACrash) {
  const auto disk = disk_with_old_state();
  save(*disk, {kRoot, 20}, {kNew}, kOptions);
  for (const auto& after : crashes(*disk)) EXPECT_EQ(restart(*after), kNew);
}

TEST(CheckpointFaults, FirstSaveEverIsThereOrNot) {
  FaultyFileSystem counted;
  save(counted, {kRoot, 10}, {kOld}, kOptions);
  for (int64_t k = 0; k < counted.operations(); ++k) {
    FaultyFileSystem disk;
    disk.fail_at(k, Fault::kCrash);
    EXPECT_THROW(save(disk, {kRoot, 10}, {kOld}, kOptions), SimulatedCrash);
    for (const auto& after : crashes(disk)) {
      const auto newest = find_newest_valid(
          *after, kRoot,
          [](const auto& path, const auto& reason) { ADD_FAILURE() << path << ": " << reason; });
      if (newest) {
        EXPECT_EQ(expect_intact(*newest), kOld);
      }
    }
  }
}

TEST(CheckpointFaults, FailingDiskLeavesOldOrNewStateAndIsTold) {
  const int64_t operations = operations_of_a_save();
  for (const Fault fault : {Fault::kNoSpace, Fault::kIoError, Fault::kBroken, Fault::kShortWrite}) {
    int told = 0;
    for (int64_t k = 0; k < operations; ++k) {
      const auto disk = disk_with_old_state();
      disk->fail_at(k, fault);
      bool failed = false;
      try {
        save(*disk, {kRoot, 20}, {kNew}, kOptions);
      } catch (const FileError& error) {
        failed = true;
        EXPECT_TRUE(has(error.what(), fault == Fault::kNoSpace ? "(errno 28)" : "(errno 5)"));
        EXPECT_TRUE(has(error.what(), "run"));
      }
      told += failed ? 1 : 0;
      disk->never_fail();
      // Whoever is started after a crash right then, and the program that goes on.
      for (const auto& after : crashes(*disk)) {
        const int found = found_state(*after);
        EXPECT_TRUE(found == kNew || (failed && found == kOld)) << "operation " << k;
      }
      if (failed && fault == Fault::kNoSpace) {
        EXPECT_FALSE(disk->exists(kRoot + "/.tmp-step-000000020")) << "a full disk is kept full";
      }
      const int found = restart(*disk);
      EXPECT_TRUE(found == kNew || (failed && found == kOld)) << "operation " << k;
    }
    if (fault == Fault::kShortWrite) {
      EXPECT_EQ(told, 0);
    } else {
      EXPECT_GT(told, fault == Fault::kNoSpace ? 5 : static_cast<int>(operations) - 20);
    }
  }
}

TEST(CheckpointFaults, FailedReadIsToldOrTheOlderStateIsTaken) {
  const auto disk = disk_with_old_state();
  save(*disk, {kRoot, 20}, {kNew}, {.keep = 2});
  disk->never_fail();
  expect_intact(*find_newest_valid(*disk, kRoot, [](const auto&, const auto&) { FAIL(); }));
  const int64_t operations = disk->operations();
  for (int64_t k = 0; k < operations; ++k) {
    disk->fail_at(k, Fault::kIoError);
    std::string reason = "none";
    try {
      const auto newest =
          find_newest_valid(*disk, kRoot, [&](const auto&, const auto& why) { reason = why; });
      ASSERT_TRUE(newest.has_value());
      EXPECT_EQ(expect_intact(*newest), reason == "none" ? kNew : kOld);
      EXPECT_TRUE(reason == "none" || has(reason, "Input/output error"));
    } catch (const Error& error) {
      EXPECT_TRUE(has(error.what(), "Input/output error"));
    }
  }
}

TEST(CheckpointFaults, AnyFlippedByteIsFound) {
  const auto disk = disk_with_old_state();
  int64_t flips = 0;
  for (const char* name : {"manifest.json", "shard-000.h5", "shard-001.h5"}) {
    const std::string path = kRoot + "/step-000000010/" + name;
    const uint64_t size = disk->size(path);
    std::vector<std::byte> content(size);
    const auto file = disk->open(path, OpenMode::kUpdate);
    file->read_at(0, content);
    for (uint64_t at = 0; at < size; ++at, ++flips) {
      const auto bit = static_cast<std::byte>(1 << (at % 8));
      const std::byte flipped = content[at] ^ bit;
      file->write_at(at, {&flipped, 1});
      try {
        Checkpoint(*disk, kRoot + "/step-000000010");
        ADD_FAILURE() << name << " byte " << at;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::kNoData) << error.what();
      }
      file->write_at(at, {&content[at], 1});
    }
  }
  EXPECT_GT(flips, 5000);
  EXPECT_EQ(expect_intact(Checkpoint(*disk, kRoot + "/step-000000010")), kOld);
}

TEST(CheckpointFaults, AnyTruncationIsFound) {
  const auto disk = disk_with_old_state();
  for (const char* name : {"manifest.json", "shard-000.h5", "shard-001.h5"}) {
    const std::string path = kRoot + "/step-000000010/" + name;
    const uint64_t size = disk->size(path);
    const auto file = disk->open(path, OpenMode::kUpdate);
    std::vector<std::byte> content(size);
    file->read_at(0, content);
    for (uint64_t length = 0; length < size; ++length) {
      file->truncate(length);
      const auto open = [&] { Checkpoint(*disk, kRoot + "/step-000000010"); };
      EXPECT_EQ(exit_code(open), ExitCode::kNoData) << name << " " << length;
      file->write_at(length, std::span(content).subspan(length));
    }
    const std::byte more{};
    file->write_at(size, {&more, 1});
    EXPECT_EQ(exit_code([&] { Checkpoint(*disk, kRoot + "/step-000000010"); }), ExitCode::kNoData);
    file->truncate(size);
  }
}

TEST(CheckpointFaults, DamageLeadsToTheOlderCheckpoint) {
  auto disk = disk_with_old_state();
  save(*disk, {kRoot, 20}, {kNew}, {.keep = 2});
  disk->open(kRoot + "/step-000000020/shard-000.h5", OpenMode::kUpdate)
      ->write_at(1500, std::as_bytes(std::span("!", 1)));
  std::string reason;
  const auto newest =
      find_newest_valid(*disk, kRoot, [&](const auto&, const auto& why) { reason = why; });
  EXPECT_EQ(expect_intact(*newest), kOld);
  EXPECT_TRUE(has(reason, "step-000000020/shard-000.h5: is damaged"));
}

}  // namespace
}  // namespace heddle
