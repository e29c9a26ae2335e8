// Which precision the verbs take, and what they say of it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace heddle {
namespace {

constexpr char kWithoutTiles[] = "export HEDDLE_MAX_ISA=avx2; ";

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

std::vector<std::string> serving_verbs() {
  const TinyModel& tiny = tiny_model();
  return {fmt::format("predict {} {} -o {}", tiny.run, tiny.data, tiny / "precision.tsv"),
          fmt::format("evaluate {} {}", tiny.run, tiny.data),
          fmt::format("features {} {} -o {}", tiny.run, tiny.data, tiny / "precision.h5")};
}

TEST(Precision, WithoutFastProductsIsWarnedOfOnceByEachVerb) {
  for (const std::string& verb : serving_verbs()) {
    for (const std::string precision : {"bf16", "int8"}) {
      for (const int ranks : {0, 2}) {
        const Outcome outcome = run_shell(
            kWithoutTiles + heddle_command(verb + " --precision " + precision, {.ranks = ranks}));
        EXPECT_EQ(outcome.code, 0) << outcome.err;
        EXPECT_EQ(
            count(outcome.err, fmt::format("warning: precision {}: this processor has no fast "
                                           "products for it; f32 would be faster",
                                           precision)),
            1)
            << outcome.err;
      }
    }
    const Outcome outcome = run_shell(kWithoutTiles + heddle_command(verb));
    EXPECT_EQ(count(outcome.err, "fast products"), 0) << outcome.err;
  }
}

TEST(Precision, AutomaticIsF32WithoutFastProducts) {
  for (const std::string& verb : serving_verbs()) {
    const Outcome outcome =
        run_shell(kWithoutTiles + heddle_command(verb + " --precision auto", {.ranks = 2}));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(count(outcome.err, "precision auto: f32\n"), 1) << outcome.err;
    EXPECT_EQ(count(outcome.err, "warning"), 0) << outcome.err;
  }
}

TEST(Precision, AutomaticIsF32OfAModelInSlices) {
  const Outcome outcome =
      run_heddle(serving_verbs()[1] + " --precision auto --tensor 2", {.ranks = 2});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(count(outcome.err, "precision auto: f32\n"), 1) << outcome.err;
}

TEST(Precision, OfARunIsResolvedAtItsStartAndWarnedOf) {
  const TinyModel& tiny = tiny_model();
  const auto train = [&](const std::string& precision, const std::string& output) {
    return run_shell(kWithoutTiles +
                     heddle_command(fmt::format("train {} --set precision={} --set output={}",
                                                tiny.config, precision, tiny / output),
                                    {.ranks = 2}));
  };
  const Outcome resolved = train("auto", "automatic");
  EXPECT_EQ(resolved.code, 0) << resolved.err;
  EXPECT_EQ(count(resolved.err, "precision auto: f32"), 1) << resolved.err;
  EXPECT_EQ(count(read_text(tiny / "automatic/config.yaml"), "precision: f32\n"), 1);
  const Outcome slow = train("bf16", "slow");
  EXPECT_EQ(slow.code, 0) << slow.err;
  EXPECT_EQ(count(slow.err, "warning: precision bf16: this processor has no fast products"), 1)
      << slow.err;
}

}  // namespace
}  // namespace heddle
