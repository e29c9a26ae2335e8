#include "trainer/log/report_input.h"

#include <gtest/gtest.h>

#include "tests/trainer/log/sample_run.h"

namespace heddle {
namespace {

class ReportInputTest : public testing::Test {
 protected:
  ReportInputTest() {
    folder_ = testing::TempDir() + "report_input_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    remove_tree(files_, folder_);
    write_sample_run(files_, folder_);
  }
  ~ReportInputTest() override { remove_tree(files_, folder_); }

  void replace(const std::string& name, const std::string& text) {
    write_file_atomically(files_, join_path(folder_, name), text);
  }
  ReportInput read() { return read_report_input(files_, folder_); }

  void expect_unreadable(const std::string& fragment, ExitCode code = ExitCode::kInput) {
    try {
      read();
      ADD_FAILURE() << "read; expected: " << fragment;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_NE(std::string(error.what()).find(fragment), std::string::npos) << error.what();
    }
  }

  PosixFileSystem files_;
  std::string folder_;
};

TEST_F(ReportInputTest, WholeRunIsRead) {
  const ReportInput input = read();
  EXPECT_EQ(input.name, "report_input_WholeRunIsRead");
  EXPECT_EQ(input.steps.size(), static_cast<size_t>(kSampleSteps));
  EXPECT_EQ(input.evaluations.size(), 12u);
  EXPECT_EQ(input.events.size(), 14u);
  EXPECT_EQ(input.state.ended, "finished");
  EXPECT_NE(input.config.find("lr: 5e-5"), std::string::npos);
  ASSERT_TRUE(input.test);
  EXPECT_EQ(input.test->rows, 872);
}

TEST_F(ReportInputTest, MostWrongAreTheSurestMistakes) {
  const ReportInput input = read();
  ASSERT_EQ(input.most_wrong.size(), kMostWrong);
  EXPECT_EQ(input.wrong_rows, 67);  // of 90 rows every fourth is right
  EXPECT_EQ(input.most_wrong[0].row, 1);
  for (size_t i = 1; i < input.most_wrong.size(); ++i) {
    EXPECT_LE(input.most_wrong[i].severity, input.most_wrong[i - 1].severity);
  }
}

TEST_F(ReportInputTest, RegressionMistakesAreOrderedByDistance) {
  replace("test_predictions.jsonl",
          "{\"row\":0,\"text\":\"a\",\"label\":1,\"predicted\":1}\n"
          "{\"row\":1,\"text\":\"b\",\"label\":1.5,\"predicted\":1}\n"
          "{\"row\":2,\"text\":\"c\",\"pair\":\"d\",\"label\":1,\"predicted\":4.20000001}\n");
  const ReportInput input = read();
  ASSERT_EQ(input.most_wrong.size(), 2u);
  EXPECT_EQ(input.most_wrong[0].row, 2);
  EXPECT_EQ(input.most_wrong[0].pair, "d");
  EXPECT_EQ(input.most_wrong[0].predicted, "4.2");
}

TEST_F(ReportInputTest, SeveralLabelsAreJoined) {
  replace("test_predictions.jsonl",
          "{\"row\":0,\"text\":\"a\",\"label\":[\"x\",\"y\"],\"predicted\":[],\"score\":0.7}");
  const ReportInput input = read();
  ASSERT_EQ(input.most_wrong.size(), 1u);
  EXPECT_EQ(input.most_wrong[0].label, "x | y");
  EXPECT_EQ(input.most_wrong[0].predicted, "");
}

TEST_F(ReportInputTest, RunWithoutTestSplitIsRead) {
  files_.remove(join_path(folder_, "test.json"));
  files_.remove(join_path(folder_, "test_predictions.jsonl"));
  const ReportInput input = read();
  EXPECT_FALSE(input.test);
  EXPECT_TRUE(input.most_wrong.empty());
}

TEST_F(ReportInputTest, LineThatIsBeingWrittenIsLeftOut) {
  replace("log.jsonl", "{\"step\":1,\"loss\":2}\n{\"step\":2,\"lo");
  EXPECT_EQ(read().steps.size(), 1u);
}

TEST_F(ReportInputTest, FolderWithoutRunIsRefused) {
  files_.remove(join_path(folder_, "run.json"));
  try {
    read();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), folder_ + ": not a run folder: it has no run.json");
    EXPECT_NE(error.hint().find("'output' of the configuration"), std::string::npos);
  }
}

TEST_F(ReportInputTest, DamagedLinesOfTheLogAreLeftOutWithOneWarning) {
  replace("log.jsonl",
          "{\"step\":1,\"loss\":2}\n\n{\"step\":2,]}\n{\"loss\":2}\n{\"step\":3,\"loss\":2}\n");
  const ReportInput input = read();
  EXPECT_EQ(input.steps.size(), 2u);
  ASSERT_EQ(input.warnings.size(), 1u);
  EXPECT_EQ(input.warnings[0], join_path(folder_, "log.jsonl") +
                                   ":3: the first of 2 lines that cannot be read; they are left "
                                   "out");
}

TEST_F(ReportInputTest, DamageIsNamedWithFileAndLine) {
  replace("test_predictions.jsonl", "{\"row\":0,\"text\":\"a\",\"label\":\"b\"}\n");
  expect_unreadable("test_predictions.jsonl:1: ");
  replace("test_predictions.jsonl",
          "{\"row\":0,\"text\":\"a\",\"label\":\"b\",\"predicted\":\"c\"}\n");
  expect_unreadable("score");
  replace("test.json", "{");
  expect_unreadable("test.json:1:2: ");
  files_.remove(join_path(folder_, "config.yaml"));
  expect_unreadable("config.yaml");
  replace("run.json", "{\"step\": true}");
  expect_unreadable("the run's state cannot be read: " + join_path(folder_, "run.json: 'step' is"),
                    ExitCode::kNoData);
}

}  // namespace
}  // namespace heddle
