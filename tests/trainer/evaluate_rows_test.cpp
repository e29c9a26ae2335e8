// Evaluation of files: exact over ranks, and of the very logits that predict writes.
#include "trainer/evaluate_rows.h"

#include "datasets/labels.h"
#include "framework/io/json.h"
#include "tests/trainer/serving.h"
#include "trainer/metrics/metric_report.h"
#include "trainer/run_folder.h"

namespace heddle {
namespace {

const Head kSeveral{Problem::kMultiLabel, {"x", "y", "z"}};
const Head kTwoNumbers{Problem::kRegression, {"stars", "price"}};

std::string text_of(const MetricReport& report) {
  return dump_json(to_json(report));
}

// Rows with labels of the head's kind, as JSON lines.
std::string labelled_for(const Head& head, int rows) {
  std::string text;
  for (int i = 0; i < rows; ++i) {
    std::string words = "the";
    for (int w = 0; w < i * 7 % 25; ++w) words += w * i % 3 == 0 ? " cat" : " sea";
    Json line = {{"text", words}};
    if (head.problem == Problem::kSingleLabel) {
      line["label"] = head.labels[static_cast<size_t>(i) % head.labels.size()];
    } else if (head.problem == Problem::kMultiLabel) {
      line["label"] = Json::array();
      for (size_t l = 0; l < head.labels.size(); ++l) {
        if (i >> l & 1) line["label"].push_back(head.labels[l]);
      }
    } else {
      line["label"] = Json::array();
      for (size_t l = 0; l < head.labels.size(); ++l) {
        line["label"].push_back(0.25 * i - static_cast<double>(l));
      }
    }
    text += dump_json(line) + "\n";
  }
  return text;
}

TEST(EvaluateRows, OneToFourRanksReportTheSame) {
  for (const Head& head : {Head(), kSeveral, kTwoNumbers}) {
    const Scratch scratch;
    const auto served = served_model(scratch, head);
    const DataSource input = {.paths = {scratch.write("rows.jsonl", labelled_for(head, 40))},
                              .text = "text",
                              .label = "label"};
    const std::string expected = text_of(evaluated(*served, input, 1));
    EXPECT_TRUE(has(expected, "\"rows\":40"));
    for (const int ranks : {2, 3, 4})
      EXPECT_EQ(text_of(evaluated(*served, input, ranks)), expected);
  }
}

TEST(EvaluateRows, ItsLogitsAreThoseOfPredict) {
  for (const int64_t stride : {0, 3}) {
    const Head head{Problem::kSingleLabel, {"a", "b", "c"}};
    const Scratch scratch;
    const auto served = served_model(scratch, head);
    served->text.max_length = 12;
    served->text.stride = stride;
    DataSource input = {.paths = {scratch.write("rows.jsonl", labelled_for(head, 40))},
                        .text = "text",
                        .label = "label"};
    const MetricReport report = evaluated(*served, input, 2);

    const std::string answers = predicted(
        *served,
        {.input = input, .output = scratch.path("out.jsonl"), .logits = true, .progress = {}}, 3);
    std::vector<float> logits;
    std::vector<int64_t> classes;
    for (size_t begin = 0, end; begin < answers.size(); begin = end + 1) {
      end = answers.find('\n', begin);
      const Json line = parse_json(answers.substr(begin, end - begin), "line");
      classes.push_back(line["label"].get<std::string>()[0] - 'a');
      for (const char* name : {"logit_a", "logit_b", "logit_c"}) {
        logits.push_back(line[name].get<float>());
      }
    }
    // Log loss, AUROC and calibration depend on every bit.
    EXPECT_EQ(text_of(report), text_of(evaluate({.problem = head.problem,
                                                 .num_labels = 3,
                                                 .logits = logits,
                                                 .classes = classes,
                                                 .label_names = head.labels})));
  }
}

TEST(EvaluateRows, ATrainedRunIsEvaluatedAsItEvaluatedItself) {
  for (const std::string stride : {"0", "2"}) {
    const Scratch scratch;
    scratch.write("test.tsv", labelled_rows(21, 300));
    const Config config =
        tiny_config(scratch, "run",
                    {"data.test=" + scratch.path("test.tsv"), "data.max_length=9",
                     "data.stride=" + stride, "training.steps=4", "training.evaluate_every=100"});
    train_on(2, config);
    PosixFileSystem files;
    const auto served = load_served_model(files, scratch.path("run"));
    EXPECT_EQ(served->text.stride, std::stoi(stride));
    const MetricReport report = evaluated(
        *served, {.paths = {scratch.path("test.tsv")}, .text = "text", .label = "label"}, 3);
    const std::string path = RunFolder(scratch.path("run")).test_file();
    const Json json = read_json(files, path);
    EXPECT_EQ(text_of(report), text_of(metric_report_from_json(JsonView(json, path))));
  }
}

TEST(EvaluateRows, ALabelThatTheModelDoesNotKnowIsToldWithItsLine) {
  const Scratch scratch;
  const auto served = served_model(scratch);
  const DataSource input = {.paths = {scratch.write("rows.tsv", "text\tlabel\na cat\ta\nsea\td\n")},
                            .text = "text",
                            .label = "label"};
  const Caught refused = caught([&] { evaluated(*served, input, 2); });
  EXPECT_EQ(refused.code, ExitCode::kInput);
  EXPECT_TRUE(has(refused.what, "rows.tsv:3"));
}

}  // namespace
}  // namespace heddle
