#include "trainer/log/console.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "trainer/metrics/text_table.h"

namespace heddle {
namespace {

const Progress kProgress{.step = 1200,
                         .steps = 5683,
                         .epoch = 0.634,
                         .loss = 0.21344,
                         .lr = 4.21e-5,
                         .steps_per_second = 5.126,
                         .tokens_per_second = 18302.4,
                         .seconds_left = 874};

Progress at_step(int64_t step) {
  Progress progress = kProgress;
  progress.step = step;
  return progress;
}

const EvaluationRecord kEvaluation{.step = 500,
                                   .epoch = 0.25,
                                   .split = "validation",
                                   .rows = 1872,
                                   .seconds = 1.3,
                                   .metrics = {{"accuracy", 0.93}, {"log_loss", 0.21}}};

TEST(ProgressLine, ShowsAllWhereThereIsRoom) {
  EXPECT_EQ(progress_line(kProgress),
            "step 1200/5683   21 %  epoch 0.63  loss 0.2134  lr 4.21e-05  5.13 steps/s  "
            "18,302 tokens/s  14 min 34 s left");
  EXPECT_EQ(progress_line(at_step(5)).substr(0, 14), "step    5/5683");
}

TEST(ProgressLine, FitsEveryWidthAndKeepsWhatMattersMost) {
  const std::string all = progress_line(kProgress);
  for (int columns = 1; columns <= 130; ++columns) {
    EXPECT_LE(text_width(progress_line(kProgress, columns)), static_cast<size_t>(columns));
  }
  EXPECT_EQ(progress_line(kProgress, 130), all);
  EXPECT_EQ(progress_line(kProgress, 79),
            "step 1200/5683   21 %  loss 0.2134  18,302 tokens/s  14 min 34 s left");
  EXPECT_EQ(progress_line(kProgress, 46), "step 1200/5683  loss 0.2134  14 min 34 s left");
  EXPECT_EQ(progress_line(kProgress, 8), "step 12…");
}

TEST(ProgressLine, RatesThatAreUnknownAreQuestionMarks) {
  Progress progress = kProgress;
  progress.tokens_per_second = std::numeric_limits<double>::infinity();
  progress.seconds_left = std::nan("");
  EXPECT_TRUE(progress_line(progress).ends_with("  ? tokens/s  ? left"));
}

TEST(Console, FileGetsALineEveryLogEveryAndTheLast) {
  std::ostringstream out;
  Console console(out, {.log_every = 500});
  for (int64_t step = 1; step <= 5683; ++step) {
    console.progress(at_step(step));
  }
  console.finish();
  std::istringstream lines(out.str());
  std::vector<std::string> starts;
  for (std::string line; std::getline(lines, line);) {
    starts.push_back(line.substr(0, 14));
  }
  ASSERT_EQ(starts.size(), 12u);
  EXPECT_EQ(starts.front(), "step  500/5683");
  EXPECT_EQ(starts.back(), "step 5683/5683");
  EXPECT_EQ(out.str().find_first_of("\033\r"), std::string::npos);
}

TEST(Console, TerminalLineIsRewrittenAtMostTenTimesASecond) {
  std::ostringstream out;
  double now = 0;
  Console console(out,
                  {.terminal = true, .columns = [] { return 47; }, .seconds = [&] { return now; }});
  console.progress(at_step(1));
  now = 0.05;
  console.progress(at_step(2));
  now = 0.11;
  console.progress(at_step(3));
  console.progress(at_step(5683));
  console.finish();
  EXPECT_EQ(out.str(),
            "\r\033[2Kstep    1/5683  loss 0.2134  14 min 34 s left"
            "\r\033[2Kstep    3/5683  loss 0.2134  14 min 34 s left"
            "\r\033[2Kstep 5683/5683  loss 0.2134  14 min 34 s left\n");
}

TEST(Console, WarningStandsAboveTheProgressLine) {
  std::ostringstream out;
  Console console(out, {.terminal = true, .columns = [] { return 17; }});
  console.warning("before");
  console.progress(at_step(1));
  console.warning("after");
  console.note("and this");
  console.finish();
  console.finish();
  const std::string line = "step    1/5683";
  EXPECT_EQ(out.str(), "warning: before\n\r\033[2K" + line + "\r\033[2Kwarning: after\n" + line +
                           "\r\033[2Kand this\n" + line + "\n");
}

TEST(Console, DestructorEndsTheProgressLine) {
  std::ostringstream out;
  { Console(out, {.terminal = true}).progress(at_step(1)); }
  EXPECT_TRUE(out.str().ends_with("left\n"));
}

TEST(Console, QuietShowsWarningsOnly) {
  std::ostringstream out;
  Console console(out, {.quiet = true, .log_every = 1});
  console.start({.title = "heddle", .facts = {{"model", "bert"}}});
  console.progress(kProgress);
  console.evaluation(kEvaluation);
  console.note("note");
  console.warning("disk is full");
  EXPECT_EQ(out.str(), "warning: disk is full\n");
}

TEST(Console, FactsAreAligned) {
  std::ostringstream out;
  Console(out, {}).start(
      {.title = "heddle 0.1.0", .facts = {{"model", "minilm (bert)"}, {"mesh", "data 2"}}});
  EXPECT_EQ(out.str(),
            "heddle 0.1.0\n"
            "  model  minilm (bert)\n"
            "  mesh   data 2\n");
}

TEST(Console, EvaluationIsATableAndNamesTheBest) {
  std::ostringstream out;
  Console console(out, {});
  console.evaluation(kEvaluation, BestSoFar{.metric = "accuracy", .value = 0.93, .step = 500});
  EXPECT_EQ(out.str(),
            "validation at step 500 (epoch 0.25): 1,872 rows in 1 s\n"
            "  metric     value\n"
            "  accuracy  0.9300\n"
            "  log_loss  0.2100\n"
            "  accuracy 0.9300 is the best so far\n");
  out.str("");
  console.evaluation(kEvaluation, BestSoFar{.metric = "accuracy", .value = 0.94, .step = 400});
  EXPECT_TRUE(out.str().ends_with("  best accuracy so far: 0.9400 at step 400\n"));
}

TEST(Terminal, PipeIsNoneAndHasTheDefaultWidth) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_FALSE(is_terminal(ends[1]));
  EXPECT_EQ(terminal_columns(ends[1]), 80);
  close(ends[0]);
  close(ends[1]);
}

TEST(Console, SilentSaysNothingAndQuietStillSaysHowItEnded) {
  for (const bool silent : {false, true}) {
    std::ostringstream out;
    Console console(out, {.quiet = true, .silent = silent});
    console.note("a note");
    console.warning("careful");
    console.result("stopped");
    EXPECT_EQ(out.str(), silent ? "" : "warning: careful\nstopped\n");
  }
}

}  // namespace
}  // namespace heddle
