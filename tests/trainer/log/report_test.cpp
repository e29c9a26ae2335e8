#include "trainer/log/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/trainer/log/sample_run.h"

namespace heddle {
namespace {

// "" if every element of the page is closed in order, else what is wrong first.
std::string mistake_in(const std::string& page) {
  const std::set<std::string> never_closed{"meta", "br", "!DOCTYPE"};
  std::vector<std::string> open;
  for (size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at)) {
    const size_t end = page.find('>', at);
    if (end == std::string::npos) {
      return "a tag has no end: " + page.substr(at, 40);
    }
    const std::string tag = page.substr(at + 1, end - at - 1);
    at = end;
    if (tag.find('<') != std::string::npos) {
      return "a tag within a tag: " + tag;
    }
    const bool closes = tag[0] == '/';
    const std::string name = tag.substr(closes, tag.find_first_of(" /\n", 1) - closes);
    if (closes) {
      if (open.empty() || open.back() != name) {
        return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
      }
      open.pop_back();
    } else if (!tag.ends_with('/') && !never_closed.contains(name)) {
      open.push_back(name);
    }
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) {
      return "a quote is not closed: " + tag;
    }
  }
  return open.empty() ? "" : open.back() + " is not closed";
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

bool has(const std::string& page, const std::string& part) {
  return page.find(part) != std::string::npos;
}

const ReportInput& sample() {
  static const ReportInput input = [] {
    PosixFileSystem files;
    const std::string folder = testing::TempDir() + "report_sample";
    remove_tree(files, folder);
    write_sample_run(files, folder);
    ReportInput read = read_report_input(files, folder);
    remove_tree(files, folder);
    return read;
  }();
  return input;
}

TEST(Report, CheckerOfTheseTestsFindsMistakes) {
  EXPECT_EQ(mistake_in("<p>a<br>b<a href=\"x\">c</a></p>"), "");
  EXPECT_EQ(mistake_in("<p><b></p>"), "</p> closes b");
  EXPECT_EQ(mistake_in("<p>"), "p is not closed");
  EXPECT_EQ(mistake_in("<p class=\"x></p>"), "a quote is not closed: p class=\"x");
}

TEST(Report, IsWellFormed) {
  EXPECT_EQ(mistake_in(make_report(sample())), "");
}

TEST(Report, NeedsNothingFromElsewhere) {
  const std::string page = make_report(sample());
  for (const char* part : {"http:", "https:", "//", "url(", "@import", "<script", "<link", "<img",
                           "src=", " onload", "javascript:"}) {
    EXPECT_FALSE(has(page, part)) << part;
  }
  EXPECT_TRUE(has(page, "default-src 'none'"));
}

TEST(Report, TextsOfTheDataAreEscaped) {
  ReportInput input = sample();
  const std::string evil = "<script>alert(1)</script>\"'&";
  input.name = evil;
  input.config = evil;
  input.state.ended = evil;
  input.state.version = evil;
  input.state.environment[evil] = evil;
  input.state.best->metric = evil;
  input.most_wrong[0] = {.row = 1, .text = evil, .pair = evil, .label = evil, .predicted = evil};
  input.test->label_names[0] = evil;
  input.test->per_label[0].label = evil;
  input.evaluations[0].split = evil;
  input.evaluations[0].metrics.push_back({evil, 1});
  input.evaluations[1].metrics.push_back({evil, 1});
  input.events[0] = {.step = 1, .event = evil, .details = {{evil, evil}}};
  const std::string page = make_report(input);
  EXPECT_FALSE(has(page, "<script"));
  EXPECT_GE(count_of(page, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"), 15u);
  EXPECT_EQ(mistake_in(page), "");
}

TEST(Report, ShowsEverySection) {
  const std::string page = make_report(sample());
  // Loss, three curves of training, nine metrics, the reliability diagram.
  EXPECT_EQ(count_of(page, "<svg class=\"plot"), 14u);
  EXPECT_EQ(count_of(page, "<circle class=\"best\""), 9u);
  EXPECT_EQ(count_of(page, "rgba(var(--heat)"), 9u);
  EXPECT_TRUE(has(page, "50 of 67 wrong rows, the surest first."));
  EXPECT_TRUE(has(page, "best accuracy on validation, step 900"));
  EXPECT_TRUE(has(page, "validation (log_loss)"));
  EXPECT_TRUE(has(page, "AMD EPYC 9354P"));
  EXPECT_TRUE(has(page, "lr: 5e-5"));
  EXPECT_TRUE(has(page, "prefers-color-scheme: dark"));
  EXPECT_TRUE(has(page, "path: checkpoints/step-000000100"));
  EXPECT_TRUE(has(page, "<title>end of epoch 1</title>"));
}

TEST(Report, BestFollowsTheDirectionOfTheMetric) {
  ReportInput input{.name = "r"};
  for (int64_t step : {1, 2, 3}) {
    const double value = step == 2 ? 0.5 : static_cast<double>(step);
    input.evaluations.push_back({.step = step,
                                 .split = "validation",
                                 .metrics = {{"accuracy", value}, {"log_loss", value}}});
  }
  const std::string page = make_report(input);
  EXPECT_TRUE(has(page, ">best 3 at 3<"));
  EXPECT_TRUE(has(page, ">best 0.5 at 2<"));
}

TEST(Report, RunWithoutAnythingIsStillAPage) {
  const std::string page = make_report({.name = "empty"});
  EXPECT_EQ(mistake_in(page), "");
  EXPECT_TRUE(has(page, "not ended: running, or killed"));
  EXPECT_EQ(count_of(page, "<section"), 1u);
  EXPECT_FALSE(has(page, "#training"));
}

TEST(Report, SaysHowTheRunEnded) {
  ReportInput input{.name = "r"};
  input.state.ended = "early_stop";
  EXPECT_TRUE(has(make_report(input), "badge\">stopped early"));
  input.state.ended = "signal";
  EXPECT_TRUE(has(make_report(input), "badge warn\">saved on a signal"));
  input.state.ended = "rank 3 hung";
  EXPECT_TRUE(has(make_report(input), "badge warn\">rank 3 hung"));
}

TEST(Report, ManyLabelsAreShownByTheirConfusions) {
  ReportInput input{.name = "r"};
  MetricReport report{.problem = Problem::kSingleLabel, .rows = 9};
  for (int label = 0; label < 40; ++label) {
    report.label_names.push_back("label " + std::to_string(label));
  }
  report.confusion.assign(1600, 0);
  report.confusion[3 * 40 + 5] = 7;
  report.confusion[8 * 40 + 1] = 2;
  input.test = report;
  const std::string page = make_report(input);
  EXPECT_FALSE(has(page, "class=\"heat\""));
  EXPECT_TRUE(has(page,
                  "<tr><td>label 3</td><td>label 5</td><td class=\"n\">7</td></tr>\n"
                  "<tr><td>label 8</td><td>label 1</td><td class=\"n\">2</td></tr>"));
}

TEST(Report, RegressionAndSeveralLabelsHaveNoMatrix) {
  ReportInput input{.name = "r"};
  input.test = MetricReport{.problem = Problem::kRegression, .rows = 9, .label_names = {"score"}};
  input.test->values = {{"pearson", 0.875}, {"mse", 0.25}};
  input.most_wrong = {{.row = 4, .text = "a", .label = "1", .predicted = "4.2", .severity = 3.2}};
  input.wrong_rows = 8;
  const std::string page = make_report(input);
  EXPECT_EQ(mistake_in(page), "");
  EXPECT_FALSE(has(page, "Confusion"));
  EXPECT_TRUE(has(page, "0.8750"));
  EXPECT_TRUE(has(page, "distance"));
  EXPECT_TRUE(has(page, "1 of 8 wrong rows, the farthest first."));
}

TEST(Report, LongTextIsCutBetweenCharacters) {
  ReportInput input{.name = "r"};
  std::string text = "a";
  for (int i = 0; i < 1000; ++i) {
    text += "ü";
  }
  input.most_wrong = {{.row = 4, .text = text, .label = "1", .predicted = "2", .severity = 1}};
  const std::string page = make_report(input);
  EXPECT_EQ(count_of(page, "ü"), 599u);
  EXPECT_TRUE(has(page, "ü …</td>"));
}

}  // namespace
}  // namespace heddle
