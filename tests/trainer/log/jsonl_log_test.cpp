#include "trainer/log/jsonl_log.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

namespace heddle {
namespace {

class JsonlLogTest : public testing::Test {
 protected:
  JsonlLogTest() {
    folder_ = testing::TempDir() + "jsonl_log_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    remove_tree(files_, folder_);
    make_directories(files_, folder_);
    path_ = join_path(folder_, "log.jsonl");
  }
  ~JsonlLogTest() override { remove_tree(files_, folder_); }

  std::string text() { return read_file(files_, path_); }
  void write(const std::string& text) { write_new_file(files_, path_, text); }

  PosixFileSystem files_;
  std::string folder_;
  std::string path_;
};

TEST_F(JsonlLogTest, WritesOneObjectALine) {
  JsonlLog log(files_, path_);
  log.add(StepRecord{.step = 10,
                     .epoch = 0.005,
                     .loss = 0.6875,
                     .lr = 3.1e-6,
                     .grad_norm = 1.25,
                     .tokens = 431,
                     .tokens_per_second = 1834.2499});
  log.add(EvaluationRecord{.step = 10,
                           .epoch = 0.005,
                           .split = "validation",
                           .rows = 872,
                           .seconds = 1.25,
                           .metrics = {{"accuracy", 0.5}, {"auroc", std::nan("")}}});
  log.add(EventRecord{.step = 10, .event = "checkpoint", .details = {{"path", "a \"b\""}}});
  log.sync();
  EXPECT_EQ(text(),
            R"({"step":10,"epoch":0.005,"loss":0.6875,"lr":3.1e-06,"grad_norm":1.25,)"
            R"("tokens":431,"tokens_per_s":1834.2,"loss_hex":"0x1.6p-1"})"
            "\n"
            R"({"step":10,"epoch":0.005,"evaluation":"validation","rows":872,"seconds":1.25,)"
            R"("metrics":{"accuracy":0.5,"auroc":null}})"
            "\n"
            R"({"step":10,"event":"checkpoint","path":"a \"b\""})"
            "\n");
}

TEST_F(JsonlLogTest, LossHexHasEveryBit) {
  JsonlLog log(files_, path_);
  for (float loss : {0.1f, 0.6931472f, 3e-40f, 12345.678f}) {
    log.add(StepRecord{.step = 1, .loss = loss});
    const std::string all = text();
    const size_t begin = all.rfind("0x");
    EXPECT_EQ(std::strtod(all.c_str() + begin, nullptr), static_cast<double>(loss));
    char expected[64];
    std::snprintf(expected, sizeof(expected), "\"loss_hex\":\"%a\"", static_cast<double>(loss));
    EXPECT_NE(all.find(expected), std::string::npos) << all;
  }
}

TEST_F(JsonlLogTest, LossThatIsNotFiniteIsNull) {
  JsonlLog log(files_, path_);
  log.add(StepRecord{.step = 1, .loss = std::numeric_limits<double>::infinity()});
  EXPECT_NE(text().find(R"("loss":null)"), std::string::npos) << text();
  EXPECT_NE(text().find(R"("loss_hex":"inf")"), std::string::npos) << text();
  EXPECT_TRUE(std::isnan(std::get<StepRecord>(parse_log_line(text(), "log.jsonl:1")).loss));
}

TEST_F(JsonlLogTest, ResumeDropsLaterStepsAndTheTornLine) {
  write(
      "{\"step\":1,\"loss\":3}\n{\"step\":2,\"loss\":2}\n{\"step\":2,\"event\":\"checkpoint\"}\n"
      "{\"step\":3,\"loss\":1}\n{\"step\":4,\"lo");
  JsonlLog log(files_, path_, 2);
  EXPECT_EQ(log.damaged_lines(), 1);
  EXPECT_EQ(text(),
            "{\"step\":1,\"loss\":3}\n{\"step\":2,\"loss\":2}\n"
            "{\"step\":2,\"event\":\"checkpoint\"}\n");
  log.add(EventRecord{.step = 2, .event = "resume"});
  EXPECT_TRUE(text().ends_with("checkpoint\"}\n{\"step\":2,\"event\":\"resume\"}\n"));
}

TEST_F(JsonlLogTest, WholeLastLineWithoutItsNewlineIsTornToo) {
  write("{\"step\":1,\"loss\":3}\n{\"step\":2,\"loss\":2}");
  const JsonlLog log(files_, path_, 2);
  EXPECT_EQ(text(), "{\"step\":1,\"loss\":3}\n");
  EXPECT_EQ(log.damaged_lines(), 1);
  EXPECT_EQ(log.damage(), path_ + ":2: a line that cannot be read is left out");
}

TEST_F(JsonlLogTest, DamagedLinesInTheMiddleAreDroppedAndCounted) {
  write("{\"step\":1}\n" + std::string(20, '\0') + "\n{\"loss\":2}\n{\"step\":2}\n");
  const JsonlLog log(files_, path_, 9);
  EXPECT_EQ(text(), "{\"step\":1}\n{\"step\":2}\n");
  EXPECT_EQ(log.damaged_lines(), 2);
  EXPECT_EQ(log.damage(),
            path_ + ":2: the first of 2 lines that cannot be read; they are left out");
}

TEST_F(JsonlLogTest, RunFromItsBeginningKeepsNoOldSteps) {
  write("{\"step\":0,\"event\":\"start\"}\n{\"step\":1,\"loss\":3}\n");
  const JsonlLog log(files_, path_, 0);
  EXPECT_EQ(text(), "{\"step\":0,\"event\":\"start\"}\n");
  EXPECT_EQ(log.damaged_lines(), 0);
}

TEST_F(JsonlLogTest, FolderThatIsMissingIsNamed) {
  try {
    JsonlLog log(files_, folder_ + "/none/log.jsonl");
    FAIL();
  } catch (const FileError& error) {
    EXPECT_NE(std::string(error.what()).find("none/log.jsonl"), std::string::npos) << error.what();
  }
}

TEST_F(JsonlLogTest, RecordsAreReadBack) {
  JsonlLog log(files_, path_);
  log.add(EventRecord{.step = 3, .event = "skipped_step", .details = {{"norm", 1.5}}});
  log.add(EvaluationRecord{
      .step = 4, .epoch = 1, .split = "test", .rows = 9, .seconds = 2, .metrics = {{"mse", 0.25}}});
  const std::string all = text();
  const size_t end = all.find('\n');
  const auto event = std::get<EventRecord>(parse_log_line(all.substr(0, end), "a:1"));
  EXPECT_EQ(event.step, 3);
  EXPECT_EQ(event.event, "skipped_step");
  EXPECT_EQ(dump_json(event.details), R"({"norm":1.5})");
  const auto evaluation = std::get<EvaluationRecord>(parse_log_line(all.substr(end + 1), "a:2"));
  EXPECT_EQ(evaluation.split, "test");
  EXPECT_EQ(evaluation.rows, 9);
  ASSERT_EQ(evaluation.metrics.size(), 1u);
  EXPECT_EQ(evaluation.metrics[0].value, 0.25);
}

void expect_unreadable(const std::string& line, const std::string& fragment) {
  try {
    parse_log_line(line, "runs/a/log.jsonl:17");
    ADD_FAILURE() << "read: " << line;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    EXPECT_TRUE(std::string(error.what()).starts_with("runs/a/log.jsonl:17")) << error.what();
    EXPECT_NE(std::string(error.what()).find(fragment), std::string::npos) << error.what();
  }
}

TEST(ParseLogLine, DamageIsNamedWithFileAndLine) {
  expect_unreadable("{\"loss\":1}", "step");
  expect_unreadable("{\"step\":-1}", "'step'");
  expect_unreadable("{\"step\":1,\"loss\":\"low\"}", "'loss' is a string");
  expect_unreadable("{\"step\":1,\"evaluation\":\"test\"}", "metrics");
  expect_unreadable("{\"step\":1,\"event\":5}", "'event'");
}

TEST(ParseJsonLine, MistakeInTheTextIsAtLineAndColumn) {
  try {
    parse_json_line("{\"step\":1,}", "log.jsonl:17");
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("log.jsonl:17:11: ")) << error.what();
  }
}

}  // namespace
}  // namespace heddle
