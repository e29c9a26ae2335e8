// Which precision the verbs take, and what they say of it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

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

testing::AssertionResult says(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "no '" << part << "' in: " << text;
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

TEST(PrecisionOnASample, IsChosenOnceForAllRanksAndRecorded) {
  const TinyModel& tiny = tiny_model();
  const std::string out = tiny / "sampled.tsv";
  const std::string predict = fmt::format("predict {} {} -o {} ", tiny.run, tiny.data, out);
  const std::string choose = "--precision auto --sample 16 --max-flips 100%";
  const Outcome chosen = run_heddle(predict + choose, {.ranks = 2});
  ASSERT_EQ(chosen.code, 0) << chosen.err;
  EXPECT_TRUE(says(chosen.err, "at most 100 % of labels; against f32 on 16 rows: bf16 "));
  const size_t at = chosen.err.find("precision auto: ") + 16;
  const std::string taken = chosen.err.substr(at, chosen.err.find(':', at) - at);
  EXPECT_TRUE(says(read_text(tiny / ".sampled.tsv.job"), fmt::format("\"shown\": \"{}\"", taken)));
  const std::string whole = read_text(out);
  ASSERT_EQ(run_heddle(predict + "--precision " + taken).code, 0);
  EXPECT_EQ(read_text(out), whole);
}

// Whatever is the fastest by now: the rows of one file are of one precision.
TEST(PrecisionOnASample, OfAResumedJobIsThatOfItsBeginning) {
  const TinyModel& tiny = tiny_model();
  const std::string out = tiny / "begun.tsv";
  const std::string predict =
      fmt::format("predict {} {} --logits -o {} ", tiny.run, tiny.data, out);
  for (const std::string begun : {"f32", "int8"}) {
    ASSERT_EQ(run_heddle(predict + "--precision " + begun).code, 0);
    const std::string whole = read_text(out);
    for (const std::string more : {"", " --max-flips 100%"}) {
      std::filesystem::remove(out);
      write_text(out + ".part", whole.substr(0, whole.size() / 2));
      const Outcome resumed =
          run_heddle(predict + "--precision auto --resume" + more, {.ranks = more.empty() ? 2 : 0});
      EXPECT_EQ(resumed.code, 0) << resumed.err;
      EXPECT_TRUE(
          says(resumed.err, fmt::format("precision auto: {}, as the job was begun", begun)));
      EXPECT_EQ(read_text(out), whole);
    }
    const Outcome other = run_heddle(predict + "--resume --precision bf16");
    EXPECT_EQ(other.code, 64);
    EXPECT_TRUE(says(other.err, fmt::format("\n  precision: {} -> bf16", begun)));
  }
}

}  // namespace
}  // namespace heddle
