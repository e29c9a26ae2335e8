// --profile.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>

#include "framework/io/json.h"
#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace heddle {
namespace {

// Names of the spans of each rank.
std::set<std::string> spans_of(const std::string& trace, int64_t rank) {
  std::set<std::string> names;
  const Json json = parse_json(read_text(trace), trace);
  for (const Json& event : json["traceEvents"]) {
    if (event["ph"] == "X" && event["pid"] == rank) names.insert(event["name"].get<std::string>());
  }
  return names;
}

TEST(ProfileOption, ChangesNoBitOfATrainingRun) {
  const TinyModel& tiny = tiny_model();
  for (const int ranks : {0, 2}) {
    const std::string trace = tiny / fmt::format("train-{}.json", ranks);
    const std::string output = tiny / fmt::format("profiled-{}", ranks);
    const Outcome outcome =
        run_heddle(fmt::format("train {} --set output={} --threads 1 --profile {}", tiny.config,
                               output, trace),
                   {.ranks = ranks});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("\nop "), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("\nencoder.layers.*.feed_forward "), std::string::npos);
    EXPECT_NE(outcome.err.find("\ntrace: " + trace + "\n"), std::string::npos);
    for (int rank = 0; rank < std::max(1, ranks); ++rank) {
      const std::set<std::string> spans = spans_of(trace, rank);
      for (const char* name : {"adamw", "linear weight backward", "encoder.layers.1.attention",
                               "pack batch", "wait for a checkpoint"}) {
        EXPECT_TRUE(spans.contains(name)) << name << " of rank " << rank;
      }
      EXPECT_EQ(spans.contains("wait for other ranks"), ranks > 1);
    }
    const Outcome difference = run_heddle(fmt::format("diff {} {}", tiny.run, output));
    EXPECT_EQ(difference.code, 0) << difference.out << difference.err;
  }
}

TEST(ProfileOption, IsThereForEveryVerbAndLeavesItsOutputAlone) {
  const TinyModel& tiny = tiny_model();
  const std::string trace = tiny / "verb.json";
  for (const std::string& verb :
       {fmt::format("evaluate {} {}", tiny.run, tiny.data),
        fmt::format("predict {} {} -o -", tiny.run, tiny.data),
        fmt::format("tokenize {} 'a cat'", tiny.run), fmt::format("inspect {}", tiny.run)}) {
    const Outcome plain = run_heddle(verb);
    const Outcome profiled = run_heddle(fmt::format("{} --profile {}", verb, trace));
    ASSERT_EQ(profiled.code, 0) << profiled.err;
    EXPECT_EQ(profiled.out, plain.out);
    EXPECT_NE(profiled.err.find("\nelsewhere "), std::string::npos) << profiled.err;
    EXPECT_NO_THROW(spans_of(trace, 0));
  }
}

TEST(ProfileOption, KeepsWhatIsNoTrace) {
  const TinyModel& tiny = tiny_model();
  const std::string before = read_text(tiny.data);
  const Outcome outcome =
      run_heddle(fmt::format("evaluate {} {} --profile {}", tiny.run, tiny.data, tiny.data));
  EXPECT_EQ(outcome.code, 64);
  EXPECT_EQ(read_text(tiny.data), before);
}

TEST(ProfileOption, ARunThatFailsLeavesTheTraceOfBeforeAndMakesNone) {
  const TinyModel& tiny = tiny_model();
  const std::string trace = tiny / "before.json", none = tiny / "none.json";
  ASSERT_EQ(run_heddle(fmt::format("inspect {} --profile {}", tiny.run, trace)).code, 0);
  const std::string before = read_text(trace);
  for (const std::string& file : {trace, none}) {
    EXPECT_EQ(run_heddle(fmt::format("evaluate {} gone.tsv --profile {}", tiny.run, file)).code,
              64);
  }
  EXPECT_EQ(read_text(trace), before);
  EXPECT_FALSE(std::filesystem::exists(none));
}

}  // namespace
}  // namespace heddle
