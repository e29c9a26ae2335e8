#include "framework/comm/watchdog.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace heddle {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Watchdog, SilenceIsReportedWithWhatWasGoingOn) {
  std::promise<Watchdog::Silence> told;
  Watchdog dog([&](const Watchdog::Silence& silence) { told.set_value(silence); });
  dog.beat("reading data", milliseconds(20));
  const Watchdog::Silence silence = told.get_future().get();
  EXPECT_EQ(silence.what, "reading data");
  EXPECT_GE(silence.seconds, 0.02);
  EXPECT_LT(silence.seconds, 10);
}

TEST(Watchdog, BeatsAndRestKeepItQuiet) {
  std::atomic<int> expired{0};
  Watchdog dog([&](const Watchdog::Silence&) { ++expired; });
  for (int i = 0; i < 20; ++i) {
    dog.beat("step", seconds(10));
    dog.beat("step", milliseconds(2000));
    std::this_thread::sleep_for(milliseconds(1));
  }
  dog.beat("save", milliseconds(30));
  dog.rest();
  std::this_thread::sleep_for(milliseconds(60));
  EXPECT_EQ(expired, 0);
}

TEST(Watchdog, ShorterLimitAfterALongerOneIsKept) {
  std::promise<std::string> told;
  Watchdog dog([&](const Watchdog::Silence& silence) { told.set_value(silence.what); });
  dog.beat("start", seconds(1000));
  std::this_thread::sleep_for(milliseconds(10));  // it sleeps for the long limit now
  dog.beat("step", milliseconds(10));
  std::future<std::string> what = told.get_future();
  ASSERT_EQ(what.wait_for(seconds(10)), std::future_status::ready);
  EXPECT_EQ(what.get(), "step");
}

}  // namespace
}  // namespace heddle
