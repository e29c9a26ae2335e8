#include <algorithm>
#include <string>

#include "tests/errors/broken_files.h"
#include "tests/errors/cases.h"
#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace heddle {
namespace {

std::string in_folder(std::string text) {
  const std::string word = "FOLDER";
  for (size_t at = 0; (at = text.find(word, at)) != std::string::npos;) {
    text.replace(at, word.size(), tiny_model().folder);
  }
  return text;
}

int count(const std::string& text, const std::string& part) {
  int times = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++times;
  return times;
}

void expect_answer(const Mistake& mistake, const Under& under) {
  const Outcome outcome = run_heddle(in_folder(mistake.arguments), under);
  EXPECT_EQ(outcome.code, mistake.code) << outcome.err;
  for (const std::string& fragment : mistake.told) {
    EXPECT_EQ(count(outcome.err, in_folder(fragment)), 1) << fragment << "\n" << outcome.err;
  }
  EXPECT_EQ(outcome.err.find("internal error"), std::string::npos) << outcome.err;
  EXPECT_LT(outcome.seconds, 10);  // also on a busy machine; a hang would take minutes
}

}  // namespace

std::string name_of_mistake(const testing::TestParamInfo<Mistake>& info) {
  return info.param.name;
}

void ErrorTest::SetUpTestSuite() {
  static const bool made = [] { return make_broken_files(), true; }();
  ASSERT_TRUE(made);
}

TEST_P(ErrorTest, IsToldWithItsExitCode) {
  expect_answer(GetParam(), {});
}

TEST_P(ErrorTest, IsToldOnceUnderMpirun) {
  expect_answer(GetParam(), {.ranks = 2});
}

}  // namespace heddle
