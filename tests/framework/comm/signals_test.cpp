#include "framework/comm/signals.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

int handled_by_test = 0;
void test_handler(int) {
  ++handled_by_test;
}

TEST(StopSignals, ASecondInterruptEndsTheProcess) {
  EXPECT_EXIT(
      {
        const StopSignals signals;
        std::raise(SIGINT);
        if (signals.received() != SIGINT) std::_Exit(1);
        std::raise(SIGINT);
        std::_Exit(2);
      },
      testing::KilledBySignal(SIGINT), "");
}

TEST(StopSignals, RemembersEachSignal) {
  for (const int signal : {SIGTERM, SIGUSR1, SIGINT}) {
    const StopSignals signals;
    EXPECT_EQ(signals.received(), 0);
    std::raise(signal);
    EXPECT_EQ(signals.received(), signal);
  }
}

TEST(StopSignals, RestoresTheFormerHandler) {
  const auto former = std::signal(SIGUSR1, test_handler);
  {
    const StopSignals signals;
    std::raise(SIGUSR1);
    EXPECT_EQ(handled_by_test, 0);
  }
  std::raise(SIGUSR1);
  EXPECT_EQ(handled_by_test, 1);
  std::signal(SIGUSR1, former);
}

TEST(StopSignals, SecondOneIsRefused) {
  {
    const StopSignals signals;
    EXPECT_INVALID(StopSignals(), "StopSignals is already in use");
  }
  const StopSignals again;  // and the first one's end makes room
}

}  // namespace
}  // namespace heddle
