// What predict, evaluate and their like must refuse rather than answer wrongly.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/errors/cases.h"
#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace heddle {
namespace {

const Mistake kPaths[] = {
    {"OutputIsAnInput",
     "predict FOLDER/run FOLDER/txet.tsv -o FOLDER/txet.tsv",
     64,
     {"is read and would be written over by -o FOLDER/txet.tsv", "name another output"}},
    {"OutputIsAFolder",
     "predict FOLDER/run FOLDER/rows.tsv -o FOLDER/run",
     64,
     {"FOLDER/run: is a folder. Expected a file to write"}},
    {"ResumeOfStandardOutput",
     "predict FOLDER/run FOLDER/rows.tsv -o - --resume",
     64,
     {"--resume: standard output keeps no rows to go on behind"}},
    {"ResumeOfStandardInput",
     "predict FOLDER/run - -o FOLDER/si.tsv --resume",
     64,
     {"--resume: standard input is no file: its rows may be others by now"}},
    {"ExportOverAFolder",
     "export FOLDER/run -o FOLDER/exported",
     64,
     {"exported: is there already, and not empty", "a folder of its own"}},
    {"VerifyOfAFolder",
     "verify FOLDER/exported",
     64,
     {"exported: no checkpoint", "verify reads runs (run.json) and checkpoints"}},
};

const Mistake kInputs[] = {
    {"JsonOnStandardInput",
     "predict FOLDER/run - -o FOLDER/x.tsv < FOLDER/bad.jsonl",
     64,
     {"standard input: is read as one text a line, but looks like jsonl", "--format jsonl"}},
    {"ColumnsOnStandardInputOfAFolder",
     "predict FOLDER/exported - -o FOLDER/x.tsv < FOLDER/rows.tsv",
     64,
     {"is read as one text a line, but looks like tsv", "--format tsv"}},
    {"NoHeaderWithNames",
     "predict FOLDER/run FOLDER/rows.tsv -o FOLDER/x.tsv --no-header --text text",
     64,
     {"--no-header: no column is called 'text'", "by its number from 0: --text 0"}},
    {"WhichColumn",
     "predict FOLDER/exported FOLDER/which.tsv -o FOLDER/x.tsv",
     64,
     {"which column is the text?", "name it: --text NAME"}},
    {"EvaluateNoRow",
     "evaluate FOLDER/run FOLDER/header.tsv",
     64,
     {"header.tsv: has no row to evaluate"}},
    {"UnknownPrecision",
     "predict FOLDER/run FOLDER/rows.tsv -o FOLDER/x.tsv --precision f8",
     64,
     {"--precision: f8 not in {f32,bf16,int8,auto}"}},
    {"SampleWithoutAuto",
     "predict FOLDER/run FOLDER/rows.tsv -o FOLDER/x.tsv --precision bf16 --sample 9",
     64,
     {"--sample and --max-flips choose for --precision auto", "add --precision auto"}},
    {"SampleOfStandardInput",
     "predict FOLDER/run - -o FOLDER/x.tsv --precision auto --sample 9",
     64,
     {"--sample: standard input cannot be read more than once", "write the rows into a file"}},
    {"SampleOfNothing",
     "predict FOLDER/run FOLDER/rows.tsv -o FOLDER/x.tsv --precision auto --sample 0",
     64,
     {"--sample: 0. Expected a whole number from 1 to 65536"}},
    {"FlipsThatAreNoShare",
     "predict FOLDER/run FOLDER/rows.tsv -o FOLDER/x.tsv --precision auto --max-flips 0.1",
     64,
     {"--max-flips: 0.1. Expected a share from 0% to 100%, such as 0.1%"}},
    {"MoreFlipsThanRows",
     "bench FOLDER/run FOLDER/rows.tsv --max-flips 101%",
     64,
     {"--max-flips: 101%. Expected a share from 0% to 100%"}},
    {"BenchOfStandardInput",
     "bench FOLDER/run -",
     64,
     {"bench: standard input cannot be read more than once"}},
    {"BenchOfNoRow",
     "bench FOLDER/run FOLDER/header.tsv",
     64,
     {"header.tsv: has no row to measure with"}},
    {"BenchOfAnUnknownColumn",
     "bench FOLDER/run FOLDER/rows.tsv --label gone",
     64,
     {"rows.tsv: no column 'gone'"}},
    {"TensorOfNothing",
     "predict FOLDER/run FOLDER/rows.tsv -o FOLDER/x.tsv --tensor 0",
     64,
     {"--tensor: 0. Expected a whole number from 1 to 65536"}},
    {"SkipLessThanNothing",
     "evaluate FOLDER/run FOLDER/rows.tsv --skip-bad -1",
     64,
     {"--skip-bad: -1. Expected a whole number from 0 to 1000000000"}},
    {"SkipMoreThanANumberHolds",
     "evaluate FOLDER/run FOLDER/rows.tsv --skip-bad 99999999999999999999",
     64,
     {"--skip-bad: 99999999999999999999. Expected a whole number"}},
    {"PlanForNoLength",
     "plan FOLDER/tiny.yaml --length -1",
     64,
     {"--length: -1. Expected a whole number from 0 to 16777216"}},
};

const Mistake kNumbers[] = {
    {"ServedVocabularyLargerThanTheModel",
     "predict FOLDER/vocabulary FOLDER/rows.tsv -o FOLDER/x.tsv",
     64,
     {"the tokenizer has ids up to 4000, but the model's vocabulary has 4000"}},
    {"NegativeEpsilon",
     "predict FOLDER/epsilon FOLDER/rows.tsv -o FOLDER/x.tsv",
     64,
     {"'layer_norm_eps' is -1. Expected more than 0 and less than 1"}},
    {"NegativeDeviation",
     "predict FOLDER/deviation FOLDER/rows.tsv -o FOLDER/x.tsv",
     64,
     {"'initializer_range' is -1. Expected a standard deviation, such as 0.02"}},
    {"AnswerThatIsNoNumber",
     "predict FOLDER/nan FOLDER/rows.tsv -o FOLDER/x.tsv",
     65,
     {"rows.tsv:2: the model's answer is not a finite number"}},
    {"EvaluatedAnswerThatIsNoNumber",
     "evaluate FOLDER/nan FOLDER/rows.tsv",
     65,
     {"rows.tsv:2: the model's answer is not a finite number"}},
    {"ImportOfNoNumber",
     "import FOLDER/nan -o FOLDER/imported",
     65,
     {"the tensor '", "' holds a value that is not finite", "the training that made it diverged"}},
};

struct Resume : testing::Test {
  const std::string folder = tiny_model().folder;
  const std::string rows = folder + "/rows.tsv", out = folder + "/resumed.tsv";

  Outcome resume(const std::string& model, const std::string& more = "") const {
    return run_heddle("predict " + model + " " + rows + " -o " + out + " --resume" + more);
  }
  void expect_refused(const Outcome& outcome, const std::string& told) const {
    EXPECT_EQ(outcome.code, 64);
    EXPECT_NE(outcome.err.find(told), std::string::npos) << outcome.err;
  }
};

TEST_F(Resume, OnlyTheSameJobGoesOnOrIsDone) {
  const std::string run = tiny_model().run;
  ASSERT_EQ(run_heddle("predict " + run + " " + rows + " -o " + out).code, 0);
  const std::string whole = read_text(out);
  EXPECT_EQ(resume(run).code, 0);
  expect_refused(resume(tiny_model().exported), "resumed.tsv: cannot resume: it is of another job");
  write_text(out, whole + "more\n");
  expect_refused(resume(run), "cannot resume: it was changed after it was written");

  std::filesystem::remove(out);
  write_text(out + ".part", whole.substr(0, whole.size() / 2));
  expect_refused(resume(tiny_model().exported), "\n  model: ");
  expect_refused(resume(run, " --logits"), "\n  options: ");
  const std::string before = read_text(rows);
  write_text(rows, before + "a dog\ta\n");
  expect_refused(resume(run), "rows.tsv has changed");
  write_text(rows, before);
  EXPECT_EQ(resume(run).code, 0);
  EXPECT_EQ(read_text(out), whole);

  std::filesystem::remove(folder + "/.resumed.tsv.job");
  expect_refused(resume(run), "nothing says what job it is of");
}

TEST_F(Resume, AnOutputHasOneWriterAndALinkStays) {
  const std::string predict = heddle_command("predict " + tiny_model().run + " " + rows + " -o ");
  const std::string locked = folder + "/locked.tsv";
  const Outcome outcome = run_shell("flock " + locked + ".part bash -c '" + predict + locked + "'");
  expect_refused(outcome, "locked.tsv.part: is being written by another job");
  std::filesystem::create_symlink("target.tsv", folder + "/link.tsv");
  ASSERT_EQ(run_shell(predict + folder + "/link.tsv").code, 0);
  EXPECT_TRUE(std::filesystem::is_symlink(folder + "/link.tsv"));
  EXPECT_TRUE(std::filesystem::is_regular_file(folder + "/target.tsv"));
}

TEST(StandardInput, IsSharedByAllRanks) {
  const TinyModel& tiny = tiny_model();
  ASSERT_EQ(run_heddle("predict " + tiny.run + " " + tiny.data + " -o " + tiny / "file.tsv").code,
            0);
  for (const int ranks : {0, 2, 3}) {
    const Outcome outcome = run_heddle(
        "predict " + tiny.run + " - --text text -o " + (tiny / "piped.tsv") + " < " + tiny.data,
        {.ranks = ranks});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(read_text(tiny / "piped.tsv"), read_text(tiny / "file.tsv"));
  }
}

TEST(StandardInput, IsOneTextALineForEveryModel) {
  const TinyModel& tiny = tiny_model();
  tiny_file("lines.txt", "a cat\na city\n");
  for (const std::string& model : {tiny.run, tiny.exported}) {
    const Outcome outcome = run_heddle("predict " + model + " - -o - < " + tiny / "lines.txt");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(outcome.out.starts_with("text\tlabel\tscore\na cat\t")) << outcome.out;
  }
}

TEST(StandardOutput, ThatCannotBeWrittenIsAnError) {
  const TinyModel& tiny = tiny_model();
  for (const std::string& arguments :
       {"inspect " + tiny.run, "verify " + tiny.run, "evaluate " + tiny.run + " " + tiny.data,
        "diff " + tiny.run + " " + tiny.run, std::string("config --describe"),
        std::string("train --help"), std::string("--version")}) {
    for (const char* to : {" > /dev/full", " >&-"}) {
      const Outcome outcome = run_heddle(arguments + to);
      EXPECT_EQ(outcome.code, 74) << arguments << to;
      EXPECT_NE(outcome.err.find("standard output: cannot write"), std::string::npos)
          << outcome.err;
    }
  }
}

TEST(Import, ThatFailsLeavesNothing) {
  const std::string output = tiny_model() / "small";
  const Outcome outcome = run_shell(
      "ulimit -f 8; " + heddle_command("import " + tiny_model().exported + " -o " + output));
  EXPECT_EQ(outcome.code, 74) << outcome.err;
  EXPECT_NE(outcome.err.find("small: not imported: "), std::string::npos) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(output));
  EXPECT_FALSE(std::filesystem::exists(output + ".import"));
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Path, ErrorTest, testing::ValuesIn(kPaths), name_of_mistake);
INSTANTIATE_TEST_SUITE_P(Input, ErrorTest, testing::ValuesIn(kInputs), name_of_mistake);
INSTANTIATE_TEST_SUITE_P(Number, ErrorTest, testing::ValuesIn(kNumbers), name_of_mistake);

}  // namespace heddle
