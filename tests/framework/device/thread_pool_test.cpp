#include "framework/device/thread_pool.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <thread>
#include <vector>

namespace heddle {
namespace {

class PoolOfThreads : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Sizes, PoolOfThreads, testing::Values(1, 2, 3, 8));

TEST_P(PoolOfThreads, EachTaskRunsOnceAndIsDoneOnReturn) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  for (const int64_t count : {0, 1, 2, 7, 1000}) {
    std::vector<int> runs(static_cast<size_t>(count), 0);  // not atomic: returning orders it
    pool.parallel_for(count, [&](int64_t i) { ++runs[static_cast<size_t>(i)]; });
    EXPECT_EQ(runs, std::vector<int>(static_cast<size_t>(count), 1));
  }
}

TEST_P(PoolOfThreads, ManyShortRoundsLoseNothing) {
  ThreadPool pool(GetParam());
  std::vector<int64_t> sums(16, 0);
  for (int round = 0; round < 2000; ++round) {
    pool.parallel_for(16, [&](int64_t i) { sums[static_cast<size_t>(i)] += i; });
  }
  for (int64_t i = 0; i < 16; ++i) EXPECT_EQ(sums[static_cast<size_t>(i)], 2000 * i);
}

TEST(ThreadPool, WorkersTakeNoSignalsAndTheCallerStillDoes) {
  ThreadPool pool(3);
  std::atomic<int> open{0};
  const std::thread::id caller = std::this_thread::get_id();
  const auto look = [&](int64_t) {
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    const bool takes = sigismember(&blocked, SIGUSR1) == 0;
    if (takes != (std::this_thread::get_id() == caller)) ++open;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // so that each thread gets some
  };
  pool.parallel_for(30, look);
  EXPECT_EQ(open, 0);
}

TEST_P(PoolOfThreads, WorkersThatSleptAreWoken) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int> runs{0};
    pool.parallel_for(64, [&](int64_t) { ++runs; });
    EXPECT_EQ(runs, 64);
  }
}

TEST_P(PoolOfThreads, ExceptionIsRethrownAndThePoolGoesOn) {
  ThreadPool pool(GetParam());
  const auto fail = [](int64_t i) {
    if (i == 5) throw std::runtime_error("task five");
  };
  for (int round = 0; round < 3; ++round) {
    try {
      pool.parallel_for(10, fail);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "task five");
    }
    std::atomic<int> runs{0};
    pool.parallel_for(10, [&](int64_t) { ++runs; });
    EXPECT_EQ(runs, 10);
  }
}

TEST_P(PoolOfThreads, DenormalsAreFlushedInEveryThread) {
  ThreadPool pool(GetParam());
  const volatile float smallest = std::numeric_limits<float>::min();
  std::vector<float> halves(64, 1.0f);
  pool.parallel_for(64, [&](int64_t i) { halves[static_cast<size_t>(i)] = smallest * 0.5f; });
  EXPECT_EQ(halves, std::vector<float>(64, 0.0f));
}

TEST(ThreadPool, WorkIsShared) {
  ThreadPool pool(2);
  std::atomic<int> inside{0};
  // Each of two tasks waits for the other: one thread alone would never end.
  pool.parallel_for(2, [&](int64_t) {
    ++inside;
    while (inside < 2) std::this_thread::yield();
  });
  EXPECT_EQ(inside, 2);
}

TEST(ThreadPool, TwoPoolsWorkSideBySide) {
  const auto work = [] {
    ThreadPool pool(2);
    int64_t total = 0;
    std::vector<int64_t> squares(100);
    for (int round = 0; round < 100; ++round) {
      pool.parallel_for(100, [&](int64_t i) { squares[static_cast<size_t>(i)] = i * i; });
      for (const int64_t square : squares) total += square;
    }
    return total;
  };
  int64_t first = 0;
  std::thread other([&] { first = work(); });
  const int64_t second = work();
  other.join();
  EXPECT_EQ(first, second);
  EXPECT_EQ(first, 100 * 328350);
}

}  // namespace
}  // namespace heddle
