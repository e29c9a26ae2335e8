// Signals that arrive while a matrix product is at work. Runs with the kernels that oneDNN has for
// AVX2 (see CMakeLists.txt), which point the stack pointer into the heap.
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "framework/comm/main_stack.h"
#include "framework/comm/signals.h"
#include "framework/ops/detail/gemm.h"

namespace heddle {
namespace {

using kernels::Gemm;

TEST(SignalsInProducts, NeitherDestroyTheHeapNorChangeBits) {
  constexpr int64_t kRows = 72, kDepth = 256, kColumns = 64;
  if (!Gemm::has(Precision::kInt8)) GTEST_SKIP() << "no products in int8 here";
  const auto gemm = Gemm::get({.depth = kDepth, .columns = kColumns, .operands = Precision::kInt8});
  const Gemm::Block block = gemm->block(kRows);
  const int64_t height = block.height;
  std::vector<int8_t> a(static_cast<size_t>(height * kDepth)), b(kColumns * kDepth);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<int8_t>(i % 7 - 3);
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<int8_t>(i % 5);
  std::vector<std::byte> packed(static_cast<size_t>(gemm->packed_bytes()));
  gemm->pack(b.data(), packed.data());
  std::vector<int32_t> expected(static_cast<size_t>(height * kColumns)), c(expected.size());
  gemm->multiply(block, a.data(), packed.data(), expected.data());

  const StopSignals signals;
  const MainStack stack;
  const pthread_t target = pthread_self();
  std::atomic<bool> enough{false};
  std::thread sender([&] {
    for (int sent = 0; !enough; ++sent) {
      pthread_kill(target, sent % 2 == 0 ? SIGUSR1 : SIGURG);
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  });
  // The library takes its work space from the end of the heap: these are what lies before it.
  std::vector<std::vector<int>> before;
  for (int i = 0; i < 256; ++i) before.emplace_back(200, i);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(700);
  int wrong = 0;
  while (std::chrono::steady_clock::now() < end) {
    gemm->multiply(block, a.data(), packed.data(), c.data());
    if (std::memcmp(c.data(), expected.data(), c.size() * sizeof(int32_t)) != 0) ++wrong;
  }
  enough = true;
  sender.join();
  EXPECT_EQ(wrong, 0);
  for (int i = 0; i < 256; ++i) EXPECT_EQ(before[static_cast<size_t>(i)], std::vector<int>(200, i));
  EXPECT_EQ(signals.received(), SIGUSR1);
}

}  // namespace
}  // namespace heddle
