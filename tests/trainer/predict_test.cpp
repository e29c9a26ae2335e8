// Batch inference: the same file on any number of ranks and after any interruption, in each format
// and for each problem.
#include "trainer/predict.h"

#include <filesystem>
#include <stdexcept>

#include "framework/io/json.h"
#include "tests/trainer/serving.h"

namespace heddle {
namespace {

const Head kOneLabel;
const Head kSeveral{Problem::kMultiLabel, {"x", "y", "z"}};
const Head kOneNumber{Problem::kRegression, {"stars"}};
const Head kTwoNumbers{Problem::kRegression, {"stars", "price"}};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
  }
  return lines;
}

std::vector<std::string> fields_of(const std::string& line, char separator) {
  std::vector<std::string> fields;
  for (size_t begin = 0, end; begin <= line.size(); begin = end + 1) {
    end = std::min(line.find(separator, begin), line.size());
    fields.push_back(line.substr(begin, end - begin));
  }
  return fields;
}

// A model and 50 rows; `options` are of a job over them.
struct Job {
  explicit Job(const Head& head, const std::string& ending = "tsv", int rows = 50)
      : served(served_model(scratch, head)) {
    scratch.write("rows.tsv", rows_of_all_lengths(rows));
    options = {.input = {.paths = {scratch.path("rows.tsv")}, .text = "text"},
               .output = scratch.path("out." + ending),
               .progress = {}};
  }
  std::string run(int ranks) const { return predicted(*served, options, ranks); }

  Scratch scratch;
  std::unique_ptr<ServedModel> served;
  PredictOptions options;
};

TEST(Predict, OneToFourRanksWriteTheSameFileInEachFormatAndForEachProblem) {
  for (const Head& head : {kOneLabel, kSeveral, kTwoNumbers}) {
    for (const char* ending : {"tsv", "csv", "jsonl"}) {
      Job job(head, ending);
      job.options.all_scores = job.options.logits = true;
      const std::string expected = job.run(1);
      for (const int ranks : {2, 3, 4}) EXPECT_EQ(job.run(ranks), expected) << ending << ranks;
    }
  }
}

TEST(Predict, MoreRanksThanRowsWriteTheSameFile) {
  const Job job(kOneLabel, "tsv", 2);
  const std::string expected = job.run(1);
  EXPECT_EQ(lines_of(expected).size(), 3u);
  EXPECT_EQ(job.run(4), expected);
}

TEST(Predict, AFileOfSeveralWindowsComesOutInItsOrder) {
  const Job job(kOneLabel, "tsv", 8192 + 8192 + 5);
  const std::string expected = job.run(1);
  EXPECT_EQ(job.run(3), expected);
  const std::vector<std::string> in = lines_of(rows_of_all_lengths(8192 + 8192 + 5));
  const std::vector<std::string> out = lines_of(expected);
  ASSERT_EQ(out.size(), in.size());
  for (size_t i = 1; i < in.size(); ++i) ASSERT_TRUE(out[i].starts_with(in[i] + "\t")) << i;
}

TEST(Predict, OneLabelIsTheMostLikelyWithItsProbability) {
  Job job(kOneLabel);
  job.options.all_scores = job.options.logits = true;
  const std::vector<std::string> lines = lines_of(job.run(1));
  // The input has a "label" of its own.
  EXPECT_EQ(lines[0], "text\tlabel\tpredicted_label\tscore\tscore_a\tscore_b\tlogit_a\tlogit_b");
  int of_a = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> row = fields_of(lines[i], '\t');
    ASSERT_EQ(row.size(), 8u);
    const bool a = std::stof(row[6]) >= std::stof(row[7]);
    of_a += a;
    EXPECT_EQ(row[2], a ? "a" : "b");
    EXPECT_EQ(row[3], a ? row[4] : row[5]);
    EXPECT_NEAR(std::stof(row[4]) + std::stof(row[5]), 1, 1e-6);
  }
  EXPECT_GT(of_a, 0);  // else the rows tell nothing
  EXPECT_LT(of_a, 50);
}

TEST(Predict, SeveralLabelsAreThoseAboveOneHalf) {
  Job job(kSeveral, "csv");
  job.options.logits = true;
  const std::vector<std::string> lines = lines_of(job.run(1));
  EXPECT_EQ(lines[0], "text,label,predicted_label,score,logit_x,logit_y,logit_z");
  size_t most = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> row = fields_of(lines[i], ',');
    ASSERT_EQ(row.size(), 7u);
    std::string expected;
    for (size_t l = 0; l < 3; ++l) {
      if (std::stof(row[4 + l]) <= 0) continue;
      expected += (expected.empty() ? "" : "|") + kSeveral.labels[l];
    }
    EXPECT_EQ(row[2], expected);
    most = std::max(most, expected.size());
  }
  EXPECT_GE(most, 3u);  // some row has two
}

TEST(Predict, ANumberIsTheScoreAndSeveralHaveTheirNames) {
  EXPECT_EQ(lines_of(Job(kOneNumber).run(1))[0], "text\tlabel\tscore");
  EXPECT_EQ(lines_of(Job(kTwoNumbers).run(1))[0], "text\tlabel\tstars\tprice");
}

TEST(Predict, JsonLinesKeepTheInputsFieldsAndAddNumbersAsNumbers) {
  Job job(kOneLabel, "jsonl");
  job.options.input.paths = {
      job.scratch.write("in.jsonl",
                        "{\"id\": 7, \"text\": \"a \\\"cat\\\"\", \"tags\": [1, 2]}\n"
                        "{\"id\": null, \"text\": \"the sea\", \"tags\": []}\n")};
  const std::vector<std::string> lines = lines_of(job.run(2));
  ASSERT_EQ(lines.size(), 2u);
  const Json first = parse_json(lines[0], "first"), second = parse_json(lines[1], "second");
  EXPECT_EQ(first["id"], 7);
  EXPECT_EQ(first["text"], "a \"cat\"");
  EXPECT_EQ(first["tags"], Json({1, 2}));
  EXPECT_TRUE(first["label"] == "a" || first["label"] == "b");
  EXPECT_TRUE(first["score"].is_number());
  EXPECT_TRUE(second["id"].is_null());
}

TEST(Predict, EachFormatSaysTheSame) {
  Job tsv(kOneLabel, "tsv"), csv(kOneLabel, "csv"), jsonl(kOneLabel, "jsonl");
  const auto a = lines_of(tsv.run(1)), b = lines_of(csv.run(1)), c = lines_of(jsonl.run(1));
  for (size_t i = 1; i < a.size(); ++i) {
    EXPECT_EQ(fields_of(a[i], '\t'), fields_of(b[i], ','));
    const Json json = parse_json(c[i - 1], "line");
    EXPECT_EQ(json["predicted_label"], fields_of(a[i], '\t')[2]);
    EXPECT_EQ(json["score"].get<float>(), std::stof(fields_of(a[i], '\t')[3]));
  }
}

TEST(Predict, ResumesBehindWhatIsThereToTheSameFile) {
  for (const char* ending : {"tsv", "csv", "jsonl"}) {
    Job job(kOneLabel, ending);
    const std::string whole = job.run(1);
    job.options.resume = true;
    // Cut in the header, between rows, in a row, behind the last.
    const size_t third = whole.find('\n', whole.find('\n') + 1) + 1;
    for (const size_t cut : {size_t{0}, size_t{3}, third, third + 9, whole.size() / 2,
                             whole.size() - 1, whole.size()}) {
      for (const int ranks : {1, 3}) {
        std::filesystem::remove(job.options.output);
        job.scratch.write(std::string("out.") + ending + ".part", whole.substr(0, cut));
        EXPECT_EQ(job.run(ranks), whole) << ending << " cut at " << cut;
        EXPECT_FALSE(std::filesystem::exists(job.options.output + ".part"));
      }
    }
  }
}

TEST(Predict, AnInterruptedJobGoesOnWhereItStopped) {
  Job job(kOneLabel, "tsv", 8192 + 700);
  const std::string whole = job.run(1);
  std::filesystem::remove(job.options.output);
  // The first window is written when this is called.
  job.options.progress = [](const PredictProgress&) {
    throw std::runtime_error("pulled the plug");
  };
  EXPECT_EQ(caught([&] { job.run(2); }).what, "pulled the plug");
  EXPECT_FALSE(std::filesystem::exists(job.options.output));

  job.options.progress = {};
  job.options.resume = true;
  int64_t resumed = -1, rows = -1;
  run_threads(3, [&](Communicator& world) {
    PosixFileSystem files;
    const PredictResult result = predict(files, *job.served, job.options, Device::cpu(), world);
    if (world.rank() == 0) resumed = result.resumed, rows = result.rows;
  });
  EXPECT_EQ(resumed, 8192);
  EXPECT_EQ(rows, 8192 + 700);
  PosixFileSystem files;
  EXPECT_EQ(read_file(files, job.options.output), whole);
}

TEST(Predict, AFinishedJobHasNothingToDo) {
  Job job(kOneLabel);
  const std::string whole = job.run(1);
  job.options.resume = true;
  job.options.progress = [](const PredictProgress&) { throw std::runtime_error("did something"); };
  EXPECT_EQ(job.run(4), whole);
}

TEST(Predict, BadRowsAreLeftOutAlikeOnAllRanks) {
  Job job(kOneLabel);
  const std::string good = rows_of_all_lengths(9);
  job.options.input.paths = {
      job.scratch.write("bad.tsv", good + "three\tfields\there\n" + "\tb\n" + "the sea\ta\n")};
  EXPECT_TRUE(has(caught([&] { job.run(2); }).what, "bad.tsv:11"));
  job.options.skip_bad = 2;
  const std::string expected = job.run(1);
  EXPECT_EQ(lines_of(expected).size(), 1u + 9 + 1);
  EXPECT_EQ(job.run(4), expected);
  // Resumed, the bad rows are passed over as before.
  std::filesystem::remove(job.options.output);
  job.scratch.write("out.tsv.part", expected.substr(0, expected.rfind("the sea")));
  job.options.resume = true;
  EXPECT_EQ(job.run(2), expected);
}

TEST(Predict, LongTextsAreTheMeanOfTheirWindows) {
  Job job(kOneLabel);
  job.options.logits = true;
  job.served->text.max_length = 8;  // 6 words of one piece each between [CLS] and [SEP]
  const std::string cut = job.run(1);
  job.served->text.stride = 2;
  const std::string windows = job.run(1);
  EXPECT_EQ(job.run(3), windows);
  const std::vector<std::string> texts = lines_of(rows_of_all_lengths(50));
  const auto a = lines_of(cut), b = lines_of(windows);
  int longer = 0;
  for (size_t i = 1; i < texts.size(); ++i) {
    const bool is_short = std::ranges::count(texts[i], ' ') < 6;
    longer += !is_short;
    if (is_short) {
      EXPECT_EQ(a[i], b[i]);
    }
  }
  EXPECT_GT(longer, 20);
  EXPECT_NE(cut, windows);

  // By hand: windows of 6 words that overlap by 2.
  job.served->text.stride = 0;
  job.options.input.paths = {
      job.scratch.write("by_hand.tsv",
                        "text\ncat sea town of the large sweet cat sea town\n"
                        "cat sea town of the large\nthe large sweet cat sea town\n")};
  const auto parts = lines_of(job.run(1));
  job.served->text.stride = 2;
  const auto joined = lines_of(job.run(1));
  for (const size_t column : {size_t{3}, size_t{4}}) {
    const double first = std::stof(fields_of(parts[2], '\t')[column]);
    const double second = std::stof(fields_of(parts[3], '\t')[column]);
    EXPECT_EQ(std::stof(fields_of(joined[1], '\t')[column]),
              static_cast<float>((first + second) / 2));
  }
}

}  // namespace
}  // namespace heddle
