#include <gtest/gtest.h>

#include "models/tokenizers/check_cases.h"
#include "tests/models/tokenizers/fixtures.h"

namespace heddle {
namespace {

class GoldenCases : public testing::TestWithParam<const char*> {};

TEST_P(GoldenCases, AreEqualToTheReference) {
  const std::string folder = fixture(GetParam());
  const CheckResult result = check_cases(*load_tokenizer(folder), folder + "/cases.json");
  EXPECT_GE(result.cases, 80u);
  EXPECT_EQ(result.failed, 0u);
  for (const CaseMismatch& mismatch : result.mismatches) ADD_FAILURE() << mismatch.describe();
}

INSTANTIATE_TEST_SUITE_P(Folders, GoldenCases,
                         testing::Values("bert_uncased", "bert_cased", "bert_vocab_only",
                                         "bert_vocab_only_cased", "bert_vocab_only_accents",
                                         "parts_normalized_tokens", "parts_single_word",
                                         "parts_no_cleaning"),
                         [](const auto& info) { return std::string(info.param); });

// A checkpoint keeps the files and makes the tokenizer of them again.
TEST_P(GoldenCases, AreEqualAfterAWayThroughFiles) {
  const std::string folder = fixture(GetParam());
  const auto loaded = load_tokenizer(folder);
  const auto again = load_tokenizer_from_files(loaded->files(), "checkpoint");
  EXPECT_EQ(check_cases(*again, folder + "/cases.json").failed, 0u);
}

}  // namespace
}  // namespace heddle
