// heddle bench.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "framework/io/json.h"
#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace heddle {
namespace {

testing::AssertionResult says(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "no '" << part << "' in: " << text;
}

TEST(Bench, ComparesThePrecisionsAndRecommendsOne) {
  const TinyModel& tiny = tiny_model();
  const std::string json = tiny / "bench.json";
  for (const int ranks : {0, 2}) {
    const Outcome outcome =
        run_heddle(fmt::format("bench {} {} --rows 20 --json {}", tiny.run, tiny.data, json),
                   {.ranks = ranks});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(outcome.out.starts_with("20 rows, ")) << outcome.out;
    EXPECT_TRUE(says(outcome.out, "times f32  largest difference  flips  accuracy\nf32 "));
    EXPECT_TRUE(says(outcome.out, "\nrecommended: "));
    const Json document = parse_json(read_text(json), json);
    EXPECT_EQ(document["rows"], 20);
    ASSERT_EQ(document["precisions"].size(), 3u);
    EXPECT_EQ(document["precisions"][0]["flips"], 0);
    EXPECT_TRUE(document["precisions"][1]["accuracy"].is_number());
    EXPECT_TRUE(says(outcome.out, "\nrecommended: " + document["recommended"].get<std::string>()));
  }
}

TEST(Bench, TakesRowsWithoutLabels) {
  const TinyModel& tiny = tiny_model();
  const std::string rows = tiny_file("unlabelled.tsv", "text\na cat\na city\n");
  const Outcome outcome = run_heddle(fmt::format("bench {} {}", tiny.run, rows));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("2 rows, ")) << outcome.out;
  EXPECT_EQ(outcome.out.find("accuracy"), std::string::npos) << outcome.out;
}

// Ten seconds or more: for the limits alone see tests/trainer/planner/limits_test.cpp.
TEST(Bench, AloneKeepsTheLimitsOfTheMachine) {
  const TinyModel& tiny = tiny_model();
  const std::string json = tiny / "limits.json";
  const Outcome outcome =
      run_shell(fmt::format("export XDG_CACHE_HOME={}; {}", tiny / "cache",
                            heddle_command("bench --threads 1 --json " + json)));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(says(outcome.out, "MiniLM up "));
  EXPECT_TRUE(says(outcome.out, "\nmemory "));
  EXPECT_TRUE(says(outcome.err, "kept in "));
  EXPECT_EQ(parse_json(read_text(json), json)["ranks"], 1);
  const Json kept = parse_json(read_text(tiny / "cache/heddle/machine.json"), "machine.json");
  EXPECT_EQ(kept["limits"]["version"], 1);
}

}  // namespace
}  // namespace heddle
