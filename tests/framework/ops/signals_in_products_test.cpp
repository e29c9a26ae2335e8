// Signals that arrive while a matrix product is at work: our own, and those of oneDNN, whose
// kernels may point the stack pointer into the heap.
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "framework/comm/main_stack.h"
#include "framework/comm/signals.h"
#include "framework/ops/detail/gemm.h"
#include "framework/ops/packed_weight.h"

namespace heddle {
namespace {

using kernels::Gemm;

constexpr int64_t kRows = 72, kDepth = 256, kColumns = 64;

// `multiply` writes the same `bytes` bytes each time.
void expect_unharmed(size_t bytes, const std::function<void(void* to)>& multiply) {
  std::vector<std::byte> expected(bytes), c(bytes);
  multiply(expected.data());

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
    multiply(c.data());
    if (std::memcmp(c.data(), expected.data(), bytes) != 0) ++wrong;
  }
  enough = true;
  sender.join();
  EXPECT_EQ(wrong, 0);
  for (int i = 0; i < 256; ++i) EXPECT_EQ(before[static_cast<size_t>(i)], std::vector<int>(200, i));
  EXPECT_EQ(signals.received(), SIGUSR1);
}

TEST(SignalsInProducts, OfF32NeitherDestroyTheHeapNorChangeBits) {
  std::vector<float> a(kRows * kDepth), b(kColumns * kDepth);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 7) - 3;
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 5) / 8;
  const auto weight = PackedWeight::forward(Tensor::from<float>(b, {kColumns, kDepth}));
  expect_unharmed(kRows * kColumns * sizeof(float), [&](void* to) {
    weight.multiply(Cpu{}, a.data(), kRows, static_cast<float*>(to));
  });
}

TEST(SignalsInProducts, OfTheLibraryNeitherDestroyTheHeapNorChangeBits) {
  if (!Gemm::has(Precision::kInt8)) GTEST_SKIP() << "no products in int8 here";
  const auto gemm = Gemm::get({.depth = kDepth, .columns = kColumns, .operands = Precision::kInt8});
  const Gemm::Block block = gemm->block(kRows);
  std::vector<int8_t> a(static_cast<size_t>(block.height * kDepth)), b(kColumns * kDepth);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<int8_t>(i % 7 - 3);
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<int8_t>(i % 5);
  std::vector<std::byte> packed(static_cast<size_t>(gemm->packed_bytes()));
  gemm->pack(b.data(), packed.data());
  expect_unharmed(static_cast<size_t>(block.height * kColumns) * sizeof(int32_t),
                  [&](void* to) { gemm->multiply(block, a.data(), packed.data(), to); });
}

}  // namespace
}  // namespace heddle
