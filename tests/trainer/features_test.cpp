// Hidden states of rows: what they are, and the same file on any number of ranks.
#include "trainer/features.h"

#include <cstring>

#include "framework/autograd/record.h"
#include "framework/io/hdf5_file.h"
#include "framework/io/json.h"
#include "tests/trainer/serving.h"

namespace heddle {
namespace {

const std::vector<std::string> kPoolings = {"cls", "mean", "last", "none"};

struct Extracted {
  std::vector<int64_t> shape;
  std::vector<float> features;
  std::vector<int64_t> rows;
};

Extracted read_features(const std::string& path) {
  PosixFileSystem files;
  const Hdf5Reader reader(files, path);
  Extracted read;
  read.shape = reader.datasets().at("features").shape;
  read.features.resize(static_cast<size_t>(read.shape[0] * read.shape[1]));
  read.rows.resize(static_cast<size_t>(read.shape[0]));
  reader.read("features", whole(read.shape), std::as_writable_bytes(std::span(read.features)));
  const std::vector<int64_t> rows = {read.shape[0]};
  reader.read("row", whole(rows), std::as_writable_bytes(std::span(read.rows)));
  return read;
}

struct Job {
  explicit Job(const std::string& pooling, const std::string& ending = "h5", int rows = 30)
      : served(served_model(scratch)) {
    scratch.write("rows.tsv", rows_of_all_lengths(rows));
    options = {.input = {.paths = {scratch.path("rows.tsv")}, .text = "text"},
               .output = scratch.path("out." + ending),
               .pooling = feature_pooling(pooling)};
  }
  std::string run(int ranks) const { return extracted(*served, options, ranks); }

  Scratch scratch;
  std::unique_ptr<ServedModel> served;
  FeatureOptions options;
};

TEST(Features, OneToFourRanksWriteTheSameFile) {
  for (const std::string& pooling : kPoolings) {
    for (const char* ending : {"h5", "jsonl"}) {
      const Job job(pooling, ending);
      const std::string expected = job.run(1);
      for (const int ranks : {2, 3, 4}) EXPECT_TRUE(job.run(ranks) == expected) << pooling << ranks;
    }
  }
}

TEST(Features, AreTheHiddenStatesOfTheModel) {
  const Scratch scratch;
  const auto served = served_model(scratch);
  const std::vector<std::string> texts = {"a large wild cat", "the sea"};
  scratch.write("rows.tsv", "text\n" + texts[0] + "\n" + texts[1] + "\n");
  const NoGrad no_grad;
  const Batch batch = served->batch(texts);
  for (const int64_t layer : {-1, 0, 1, 2}) {
    const std::vector<Tensor> states = served->model.encoder.hidden_states(batch);
    const Tensor& hidden = layer < 0 ? states.back() : states[static_cast<size_t>(layer)];
    for (const std::string& pooling : kPoolings) {
      const FeatureOptions options = {
          .input = {.paths = {scratch.path("rows.tsv")}, .text = "text"},
          .output = scratch.path("out.h5"),
          .pooling = feature_pooling(pooling),
          .layer = layer};
      extracted(*served, options, 2);
      const Extracted got = read_features(options.output);
      std::vector<float> expected;
      std::vector<int64_t> rows;
      for (int64_t s = 0; s < 2; ++s) {
        const int64_t begin = batch.segments.begin(s), end = batch.segments.end(s);
        const auto add = [&](int64_t t) {
          const auto row = hidden.rows(t, t + 1).span<const float>();
          expected.insert(expected.end(), row.begin(), row.end());
          rows.push_back(s);
        };
        if (pooling == "cls") add(begin);
        if (pooling == "last") add(end - 1);
        for (int64_t t = begin; pooling == "none" && t < end; ++t) add(t);
        if (pooling != "mean") continue;
        rows.push_back(s);
        for (int64_t c = 0; c < hidden.dim(1); ++c) {
          double sum = 0;
          for (int64_t t = begin; t < end; ++t) sum += hidden.data<float>()[t * hidden.dim(1) + c];
          expected.push_back(static_cast<float>(sum / static_cast<double>(end - begin)));
        }
      }
      EXPECT_EQ(got.rows, rows) << pooling;
      ASSERT_EQ(got.features.size(), expected.size()) << pooling;
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(got.features[i], expected[i], 1e-5) << pooling << " " << layer << " " << i;
      }
    }
  }
}

TEST(Features, LinesOfJsonHoldTheSameNumbers) {
  Job job("mean");
  job.run(1);
  const Extracted arrays = read_features(job.options.output);
  job.options.output = job.scratch.path("out.jsonl");
  const std::string text = job.run(1);
  size_t row = 0;
  for (size_t begin = 0, end; begin < text.size(); begin = end + 1, ++row) {
    end = text.find('\n', begin);
    const Json line = parse_json(text.substr(begin, end - begin), "line");
    EXPECT_EQ(line["row"], row);
    const auto features = line["features"].get<std::vector<float>>();
    ASSERT_EQ(features.size(), 16u);
    EXPECT_EQ(std::memcmp(features.data(), arrays.features.data() + row * 16, 64), 0) << row;
  }
  EXPECT_EQ(row, 30u);
}

TEST(Features, OfALongTextAreTheMeanOfItsWindows) {
  Job job("cls");
  job.served->text.max_length = 8;
  job.options.input.paths = {job.scratch.write(
      "parts.tsv", "text\ncat sea town of the large\nthe large sweet cat sea town\n")};
  job.run(1);
  const Extracted parts = read_features(job.options.output);
  job.served->text.stride = 2;
  job.options.input.paths = {
      job.scratch.write("whole.tsv", "text\ncat sea town of the large sweet cat sea town\n")};
  job.run(2);
  const Extracted joined = read_features(job.options.output);
  EXPECT_EQ(joined.rows, std::vector<int64_t>{0});
  for (size_t c = 0; c < 16; ++c) {
    EXPECT_EQ(joined.features[c],
              static_cast<float>((double{parts.features[c]} + double{parts.features[16 + c]}) / 2));
  }
}

TEST(Features, AnswerWithTheNumberOfVectorsOnEveryRank) {
  const Job job("none", "h5", 5);
  const auto count = [&](const FeatureOptions& options) {
    std::vector<int64_t> counts(2);
    run_threads(2, [&](Communicator& world) {
      PosixFileSystem files;
      counts[static_cast<size_t>(world.rank())] =
          extract_features(files, *job.served, options, Device::cpu(), world);
    });
    EXPECT_EQ(counts[0], counts[1]);
    return counts[0];
  };
  const int64_t vectors = count(job.options);
  EXPECT_EQ(vectors, read_features(job.options.output).shape[0]);
  FeatureOptions one_a_row = job.options;
  one_a_row.pooling = FeaturePooling::kLast;
  EXPECT_EQ(count(one_a_row), 5);
}

TEST(Features, WhatCannotBeIsRefused) {
  const Caught pooling = caught([] { feature_pooling("man"); });
  EXPECT_TRUE(has(pooling.what, "--pooling man: there is no such pooling"));
  EXPECT_TRUE(has(pooling.hint, "mean"));
  Job job("cls");
  job.options.layer = 3;
  EXPECT_TRUE(has(caught([&] { job.run(1); }).what, "--layer 3: the model has layers 0 to 2"));
  job.options.layer = -1;
  job.options.output = job.scratch.path("out.tsv");
  EXPECT_TRUE(has(caught([&] { job.run(2); }).what, "features are written as .h5 or .jsonl"));
  job.options.output = job.scratch.path("out.h5");
  job.options.input.paths = {"-"};
  EXPECT_TRUE(has(caught([&] { job.run(2); }).what, "standard input are written as .jsonl"));
}

}  // namespace
}  // namespace heddle
