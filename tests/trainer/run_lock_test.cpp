// One training job at a time in a run folder.
#include "trainer/run_lock.h"

#include <unistd.h>

#include <filesystem>
#include <future>
#include <thread>

#include "framework/comm/single.h"
#include "tests/trainer/tiny_run.h"

namespace heddle {
namespace {

using std::chrono::milliseconds;

class RunLockTest : public testing::Test {
 protected:
  std::unique_ptr<RunLock> lock(int patience = 100) {
    return std::make_unique<RunLock>(files_, *world_, folder_, milliseconds(patience));
  }

  Scratch scratch_;
  PosixFileSystem files_;
  std::unique_ptr<Communicator> world_ = make_single();
  RunFolder folder_{scratch_.path("runs/one")};
};

TEST_F(RunLockTest, ASecondJobIsRefusedAndToldWhoIsThere) {
  const auto first = lock();
  EXPECT_TRUE(first->warnings().empty());
  const Caught refused = caught([&] { lock(); });
  EXPECT_EQ(refused.code, ExitCode::kInput);
  EXPECT_TRUE(has(refused.what, "/runs/one: another training job is writing there: process " +
                                    std::to_string(getpid()) + " on "));
  EXPECT_EQ(refused.hint, "wait until it has ended, or set another `output`");
}

TEST_F(RunLockTest, IsFreeAgainWhenTheFirstEnds) {
  lock();
  EXPECT_TRUE(lock()->warnings().empty());
  auto first = lock();
  const auto end = std::async(std::launch::async, [&] {
    std::this_thread::sleep_for(milliseconds(300));
    first.reset();
  });
  EXPECT_TRUE(lock(60'000)->warnings().empty());
}

TEST_F(RunLockTest, WhatADeadProcessLeftIsNoLock) {
  scratch_.write("runs/one/run.lock", "process 1 on a node that is gone\n");
  const auto mine = lock();
  EXPECT_EQ(read_file(files_, folder_.lock_file()).find("process " + std::to_string(getpid())), 0u);
}

TEST_F(RunLockTest, AFolderWithoutLocksIsAWarning) {
  std::filesystem::create_directories(folder_.lock_file());
  const auto mine = lock();
  ASSERT_EQ(mine->warnings().size(), 1u);
  EXPECT_TRUE(has(mine->warnings()[0], "run.lock: not locked: Is a directory"));
  EXPECT_TRUE(has(mine->warnings()[0], "start no second job there"));
}

TEST_F(RunLockTest, AnOutputThatIsAFileIsRefused) {
  scratch_.write("runs/one", "");
  const Caught refused = caught([&] { lock(); });
  EXPECT_EQ(refused.code, ExitCode::kInput);
  EXPECT_TRUE(has(refused.what, "output: "));
  EXPECT_TRUE(has(refused.what, "/runs/one: is a file"));
  EXPECT_TRUE(has(refused.hint, "name a folder"));
}

TEST_F(RunLockTest, AllRanksOfARefusedJobSayTheSame) {
  const auto first = lock();
  const Caught refused = caught([&] {
    run_threads(2, [&](Communicator& world) {
      const Caught mine = caught([&] { RunLock second(files_, world, folder_, milliseconds(50)); });
      if (world.rank() == 1) throw Error(mine.code, mine.what, mine.hint);
    });
  });
  EXPECT_EQ(refused.code, ExitCode::kInput);
  EXPECT_TRUE(has(refused.what, "another training job is writing there"));
}

}  // namespace
}  // namespace heddle
