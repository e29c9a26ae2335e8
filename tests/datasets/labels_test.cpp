#include "datasets/labels.h"

#include <gtest/gtest.h>

#include "datasets/examples.h"
#include "tests/framework/io/scratch.h"

namespace heddle {
namespace {

// A row of one field, at f.tsv:7.
struct OneField {
  explicit OneField(std::string_view field, FieldKind kind = FieldKind::kText)
      : text(field), kinds{kind} {
    row = {.fields = {&text, 1}, .kinds = kinds, .file = "f.tsv", .line = 7, .source = text};
  }
  std::string_view text;
  std::vector<FieldKind> kinds;
  Row row;
};

int32_t index(std::string_view field, const LabelSet& labels) {
  return parse_label_index(OneField(field).row, 0, labels);
}

std::vector<float> multi_hot(const OneField& field, const LabelSet& labels) {
  std::vector<float> out(static_cast<size_t>(labels.size()), -1.0f);
  parse_multi_hot(field.row, 0, labels, out);
  return out;
}

std::vector<float> numbers(std::string_view field, size_t count) {
  std::vector<float> out(count);
  parse_numbers(OneField(field).row, 0, out);
  return out;
}

TEST(LabelSet, FindsNames) {
  const LabelSet labels({"negative", "neutral", "positive"});
  EXPECT_EQ(labels.size(), 3);
  EXPECT_EQ(labels.index_of("neutral"), 1);
  EXPECT_EQ(labels.name(2), "positive");
  EXPECT_EQ(labels.find("0"), std::nullopt);
  EXPECT_FALSE(labels.generic());
}

TEST(LabelSet, UnknownNameIsAnErrorWithTheNearest) {
  const LabelSet labels({"negative", "positive"});
  const auto find = [&] { labels.index_of("positiv"); };
  EXPECT_EQ(error_text(find), "unknown label 'positiv'");
  EXPECT_EQ(error_hint(find), "did you mean 'positive'?");
  EXPECT_EQ(labels.hint_for("xyz"), "known: negative, positive");
  std::vector<std::string> many;
  for (int i = 0; i < 50; ++i) many.push_back(fmt::format("kind-of-{}", i));
  EXPECT_TRUE(has(LabelSet(many).hint_for("xyz"), "kind-of-19, and 30 more"));
}

TEST(LabelSet, EmptyAndRepeatedNamesAreErrors) {
  EXPECT_EQ(error_text([] { LabelSet({"a", ""}); }), "label 1 has no name");
  EXPECT_EQ(error_text([] { LabelSet({"a", "b", "a"}); }), "two labels are named 'a'");
}

TEST(LabelSet, NumbersStandForGenericNames) {
  const LabelSet labels({"LABEL_0", "LABEL_1"});
  EXPECT_TRUE(labels.generic());
  EXPECT_EQ(labels.find("1"), 1);
  EXPECT_EQ(labels.find("LABEL_1"), 1);
  EXPECT_EQ(labels.find("2"), std::nullopt);
  EXPECT_EQ(labels.find("-1"), std::nullopt);
}

TEST(Labels, SortByValueOnlyWhereAllAreWholeNumbers) {
  std::vector<std::string> names = {"10", "9", "-1", "2"};
  sort_label_names(names);
  EXPECT_EQ(names, (std::vector<std::string>{"-1", "2", "9", "10"}));
  names = {"10", "9", "b", "2"};
  sort_label_names(names);
  EXPECT_EQ(names, (std::vector<std::string>{"10", "2", "9", "b"}));
}

TEST(Labels, OneNameIsAnIndex) {
  const LabelSet labels({"a b", "c"});
  EXPECT_EQ(index("c", labels), 1);
  EXPECT_EQ(index("  a b ", labels), 0);
}

TEST(Labels, FieldsThatAreNoLabelAreErrorsWithTheirPlace) {
  const LabelSet labels({"yes", "no"});
  EXPECT_EQ(error_text([&] { index("yess", labels); }), "f.tsv:7: unknown label 'yess': 'yess'");
  EXPECT_EQ(error_hint([&] { index("yess", labels); }), "did you mean 'yes'?");
  EXPECT_TRUE(has(error_text([&] { index(" ", labels); }), "f.tsv:7: no label"));
  const OneField null("null", FieldKind::kJson);
  EXPECT_TRUE(has(error_text([&] { parse_label_index(null.row, 0, labels); }), "no label"));
}

TEST(Labels, SeveralNamesAreMultiHot) {
  const LabelSet labels({"a", "b", "c"});
  using Values = std::vector<float>;
  EXPECT_EQ(multi_hot(OneField("c|a"), labels), (Values{1, 0, 1}));
  EXPECT_EQ(multi_hot(OneField(" b "), labels), (Values{0, 1, 0}));
  EXPECT_EQ(multi_hot(OneField(""), labels), (Values{0, 0, 0}));
  EXPECT_EQ(multi_hot(OneField("[\"b\", \"c\"]"), labels), (Values{0, 1, 1}));
  EXPECT_EQ(multi_hot(OneField("[]", FieldKind::kJson), labels), (Values{0, 0, 0}));
  EXPECT_EQ(multi_hot(OneField("null", FieldKind::kJson), labels), (Values{0, 0, 0}));
  EXPECT_EQ(multi_hot(OneField("[1]"), LabelSet({"0", "1"})), (Values{0, 1}));
}

TEST(Labels, BadMultiLabelFieldsAreErrors) {
  const LabelSet labels({"apple", "pear"});
  EXPECT_TRUE(has(error_text([&] { multi_hot(OneField("apple|peach"), labels); }),
                  "f.tsv:7: unknown label 'peach'"));
  EXPECT_TRUE(has(error_text([&] { multi_hot(OneField("[\"apple\""), labels); }),
                  "f.tsv:7: a broken array of labels (expected ',' or ']')"));
  std::vector<float> small(1);
  EXPECT_TRUE(has(error_text([&] { parse_multi_hot(OneField("").row, 0, labels, small); }),
                  "[parse_multi_hot] room for 1 numbers. Expected 2"));
}

TEST(Labels, NumbersAreReadForRegression) {
  EXPECT_EQ(numbers("0.5", 1), (std::vector<float>{0.5f}));
  EXPECT_EQ(numbers("-1e-3|2", 2), (std::vector<float>{-1e-3f, 2.0f}));
  EXPECT_EQ(numbers("[1, 2.5]", 2), (std::vector<float>{1.0f, 2.5f}));
}

TEST(Labels, FieldsThatAreNoNumbersAreErrors) {
  EXPECT_TRUE(has(error_text([] { numbers("good", 1); }),
                  "f.tsv:7: the label 'good' is not a finite number"));
  EXPECT_TRUE(has(error_text([] { numbers("nan", 1); }), "'nan' is not a finite number"));
  EXPECT_TRUE(has(error_text([] { numbers("1e999", 1); }), "'1e999' is not a finite number"));
  EXPECT_TRUE(has(error_text([] { numbers("1|2", 1); }), "2 numbers as label. Expected 1"));
  EXPECT_TRUE(has(error_text([] { numbers("", 1); }), "0 numbers as label. Expected 1"));
  EXPECT_TRUE(has(error_hint([] { numbers("good", 1); }), "numbers for regression"));
}

TEST(SurveyLabels, CollectsNamesAndGuessesTheKind) {
  Scratch scratch;
  const auto survey = [&](const std::string& labels, LabelKind kind = LabelKind::kNone) {
    std::string text = "text\tlabel\n";
    for (size_t start = 0; start < labels.size();) {
      const size_t end = std::min(labels.find(' ', start), labels.size());
      text += "x\t" + labels.substr(start, end - start) + "\n";
      start = end + 1;
    }
    BadRows bad;
    return survey_labels({.paths = {scratch.write("a.tsv", text)}, .label = "label"}, bad, kind);
  };
  using Names = std::vector<std::string>;
  const LabelSurvey names = survey("b a c a");
  EXPECT_EQ(names.names, (Names{"a", "b", "c"}));
  EXPECT_EQ(names.kind, LabelKind::kIndex);
  EXPECT_EQ(names.rows, 4);
  EXPECT_EQ(survey("10 2 1").names, (Names{"1", "2", "10"}));
  EXPECT_EQ(survey("10 2 1").kind, LabelKind::kIndex);
  EXPECT_EQ(survey("0.5 2 1").kind, LabelKind::kNumbers);
  EXPECT_EQ(survey("a|b c").kind, LabelKind::kMultiHot);
  EXPECT_EQ(survey("a|b c").names, (Names{"a", "b", "c"}));
  EXPECT_EQ(survey("a|b c", LabelKind::kIndex).names, (Names{"a|b", "c"}));
  EXPECT_EQ(survey("[\"a\"]").kind, LabelKind::kMultiHot);
}

TEST(SurveyLabels, ColumnsThatAreNoLabelsAreErrors) {
  Scratch scratch;
  std::string text = "text\tlabel\n";
  for (int i = 0; i < 10'002; ++i) text += fmt::format("x\ttext {}\n", i);
  const std::string path = scratch.write("a.tsv", text);
  BadRows bad;
  EXPECT_TRUE(has(error_text([&] { survey_labels({.paths = {path}, .label = "label"}, bad); }),
                  "the column 'label' has more than 10000 different values"));
  EXPECT_TRUE(has(error_text([&] { survey_labels({.paths = {path}}, bad); }),
                  "the data name no label column"));
}

}  // namespace
}  // namespace heddle
