#include "trainer/deadlines.h"

#include <gtest/gtest.h>

namespace heddle {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Deadlines, StartHoldsUntilTheFirstStep) {
  WatchdogConfig config;
  config.start.seconds = 120;
  config.step = Duration{.seconds = 5};
  Deadlines d(config);
  EXPECT_EQ(d.start(), seconds(120));
  EXPECT_EQ(d.step(), seconds(120));
  d.add_step(1);
  EXPECT_EQ(d.step(), seconds(5));
}

TEST(Deadlines, StepIsTwentyTimesTheMedianAndAtLeastAMinute) {
  Deadlines d({});
  d.add_step(1);
  EXPECT_EQ(d.step(), seconds(60));
  d.add_step(7);
  d.add_step(1000);
  EXPECT_EQ(d.step(), seconds(140));
}

TEST(Deadlines, OnlyTheLastStepsCount) {
  Deadlines d({});
  for (int i = 0; i < 200; ++i) d.add_step(100);
  for (int i = 0; i < 101; ++i) d.add_step(4);
  EXPECT_EQ(d.step(), seconds(80));
}

TEST(Deadlines, CheckpointHasItsBytesAndAnEvaluationItsRowsOnTop) {
  WatchdogConfig config;
  config.step = Duration{.seconds = 5};
  Deadlines d(config);
  d.add_step(0.5);
  EXPECT_EQ(d.checkpoint(1'000'000'000), seconds(55));
  EXPECT_EQ(d.evaluation(64, 32), seconds(25));
  EXPECT_EQ(d.evaluation(0, 32), seconds(5));
}

}  // namespace
}  // namespace heddle
