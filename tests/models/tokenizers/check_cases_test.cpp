#include "models/tokenizers/check_cases.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/models/tokenizers/fixtures.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

CheckResult check_text(const std::string& json) {
  const std::string path = testing::TempDir() + "tokenizer_cases.json";
  std::ofstream(path) << json;
  return check_cases(*small_tokenizer(), path);
}

CheckResult check_case(const std::string& fields) {
  return check_text(R"({"cases": [{"text": "ab a", )" + fields + "}]}");
}

// The field that is found to differ, "" if all is equal.
std::string difference(const std::string& fields) {
  const CheckResult result = check_case(fields);
  EXPECT_EQ(result.cases, 1u);
  return result.failed == 0 ? "" : result.mismatches.at(0).field;
}

TEST(CheckCases, EqualCasePasses) {
  EXPECT_EQ(difference(R"("options": {}, "ids": [7, 5], "offsets": [[0,2],[3,4]],
      "decoded": "ab a", "decoded_skip": "ab a")"),
            "");
}

TEST(CheckCases, EachFieldIsCompared) {
  EXPECT_EQ(difference(R"("options": {}, "ids": [7, 6])"), "ids");
  EXPECT_EQ(difference(R"("options": {}, "ids": [7, 5], "type_ids": [0, 1])"), "type_ids");
  EXPECT_EQ(difference(R"("options": {}, "ids": [7, 5], "attention_mask": [0, 1])"),
            "attention_mask");
  EXPECT_EQ(difference(R"("options": {}, "ids": [7, 5], "offsets": [[0,2],[2,4]])"), "offsets");
  EXPECT_EQ(difference(R"("options": {}, "ids": [7, 5], "decoded": "x")"), "decoded");
  EXPECT_EQ(difference(R"("options": {}, "ids": [7, 5], "decoded_skip": "x")"), "decoded_skip");
  EXPECT_EQ(difference(R"("options": {}, "error": "refused")"), "error");
  const std::string cut = R"("options": {"truncation": true, "max_length": 1, "stride": 0})";
  EXPECT_EQ(difference(cut + R"(, "ids": [7], "windows": [{"ids": [5]}])"), "");
  EXPECT_EQ(difference(cut + R"(, "ids": [7], "windows": [{"ids": [6]}])"), "windows[0].ids");
  EXPECT_EQ(difference(cut + R"(, "ids": [7])"), "windows");
  EXPECT_EQ(difference(R"("options": {"truncation": "only_second", "max_length": 1}, "ids": [7])"),
            "error");
}

TEST(CheckCases, MismatchSaysWhereAndWhat) {
  const CheckResult result = check_case(R"("options": {}, "ids": [7, 6])");
  EXPECT_EQ(result.mismatches.at(0).describe(),
            "case 0: ids differs for \"ab a\" {}\n  expected [1..] 6 (2 in all)\n"
            "  got      [1..] 5 (2 in all)");
}

TEST(CheckCases, VocabularyAndPaddingAreCompared) {
  const CheckResult result = check_text(R"({"vocab_size": 12, "pad_token_id": 1, "cases": []})");
  ASSERT_EQ(result.failed, 2u);
  EXPECT_EQ(result.mismatches[0].field, "vocab_size");
  EXPECT_EQ(result.mismatches[1].field, "pad_token_id");
  EXPECT_EQ(difference(R"("options": {"padding": "longest", "pad_to_multiple_of": 4},
      "ids": [7, 5, 0, 0], "attention_mask": [1, 1, 0, 0])"),
            "");
}

TEST(CheckCases, OtherFormsAreRefused) {
  EXPECT_HEDDLE_ERROR(check_case(R"("options": {"padding": "all"})"), ExitCode::kInput,
                      "is neither 'max_length' nor 'longest'");
  EXPECT_HEDDLE_ERROR(check_case(R"("options": {"truncation": "none"})"), ExitCode::kInput,
                      "'cases[0].options.truncation' is not known");
  EXPECT_HEDDLE_ERROR(check_case(R"("options": {"truncation_side": "up"})"), ExitCode::kInput,
                      "is neither 'left' nor 'right'");
  EXPECT_HEDDLE_ERROR(check_case(R"("options": {"target": true})"), ExitCode::kInput,
                      "has an unknown key 'target'");
  EXPECT_HEDDLE_ERROR(check_cases(*small_tokenizer(), "/nowhere/cases.json"), ExitCode::kInput,
                      "/nowhere/cases.json");
}

}  // namespace
}  // namespace heddle
