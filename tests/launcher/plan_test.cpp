// heddle plan, and what it says against what a run takes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "framework/io/json.h"
#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace heddle {
namespace {

struct Shape {
  const char* name;
  int64_t hidden, layers, heads, intermediate, batch, micro_tokens;
};

// Every row has more words than max_length: all sequences are equally long.
std::string long_rows() {
  std::string text = "text\tlabel\n";
  for (int i = 0; i < 64; ++i) {
    for (int w = 0; w < 40; ++w) text += w % 2 ? "the sea " : "a small animal ";
    text += i % 2 ? "\ta\n" : "\tb\n";
  }
  return tiny_file("long.tsv", text);
}

std::string config_of(const Shape& shape, const std::string& run) {
  return tiny_file(fmt::format("plan-{}.yaml", shape.name),
                   fmt::format(R"(output: {}
model:
  architecture: {{family: bert, hidden_size: {}, layers: {}, heads: {}, intermediate_size: {}}}
  tokenizer: {}/datasets/samples/definitions/tokenizer.json
data: {{train: {{path: {}, text: text, label: label}}, max_length: 32}}
batch: {{size: {}, micro_tokens: {}}}
training: {{steps: 3, log_every: 1, evaluate_every: never}}
checkpoint: {{every: never}}
log: {{tensorboard: false, hash_every: 0}}
threads: 1
)",
                               run, shape.hidden, shape.layers, shape.heads, shape.intermediate,
                               HEDDLE_SOURCE_DIR, long_rows(), shape.batch, shape.micro_tokens));
}

// The details of the run's memory event.
Json memory_of(const std::string& run) {
  const std::string log = read_text(run + "/log.jsonl");
  const size_t at = log.find("\"event\":\"memory\"");
  if (at == std::string::npos) return Json::object();
  const size_t begin = log.rfind('\n', at) + 1;
  return parse_json(log.substr(begin, log.find('\n', at) - begin), run);
}

struct Parallel {
  int tensor = 1, zero = 0;
  bool sequence = false;
  std::string precision = "f32";
};

void expect_as_planned(const Shape& shape, int ranks, const Parallel& parallel = {}) {
  const auto& [tensor, zero, sequence, precision] = parallel;
  const std::string run = tiny_model() / fmt::format("{}-{}-{}-{}-{}-{}", shape.name, ranks, tensor,
                                                     zero, sequence, precision);
  const std::string config = config_of(shape, run);
  const std::string json = run + "-plan.json";
  const Outcome planned =
      run_heddle(fmt::format("plan {} --ranks {} --cluster {}/configs/clusters/h100_node.yaml "
                             "--json {} --set parallel.sequence={} --set precision={}",
                             config, ranks, HEDDLE_SOURCE_DIR, json, sequence, precision));
  ASSERT_EQ(planned.code, 0) << planned.err;
  const Outcome trained =
      run_heddle(fmt::format("train {} --set parallel.tensor={} --set parallel.zero={} "
                             "--set parallel.sequence={} --set precision={}",
                             config, tensor, zero, sequence, precision),
                 {.ranks = ranks});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(trained.err.find("by plan, of a rank, "), std::string::npos) << trained.err;

  const Json memory = memory_of(run);
  ASSERT_TRUE(memory.contains("high_water")) << run;
  double plan = 0;
  const Json document = parse_json(read_text(json), json);
  for (const Json& mesh : document["meshes"]) {
    if (mesh["tensor"] == tensor && mesh["zero"] == zero) plan = mesh["bytes"]["allocator"];
  }
  EXPECT_NEAR(memory["high_water"].get<double>() / plan, 1, 0.02) << dump_json(memory, 2);
  // What the run itself had said before its first step.
  EXPECT_NEAR(memory["planned"]["allocator"].get<double>() / plan, 1, 0.001);
  EXPECT_GT(memory["process"].get<double>(), memory["held"].get<double>() / 2);
  EXPECT_NE(read_text(run + "/run.json").find("\"memory_high_water\""), std::string::npos);
}

constexpr Shape kTinyShape{"tiny", 64, 2, 4, 256, 16, 8192};
constexpr Shape kMiniLm{"minilm", 384, 6, 12, 1536, 16, 8192};
constexpr Shape kPasses{"passes", 128, 3, 4, 512, 32, 256};

TEST(PlanAgainstRun, BytesOfATinyModel) {
  expect_as_planned(kTinyShape, 1);
  expect_as_planned(kTinyShape, 2);
}

TEST(PlanAgainstRun, BytesOfMiniLmsShape) {
  expect_as_planned(kMiniLm, 1);
  expect_as_planned(kMiniLm, 2);
}

TEST(PlanAgainstRun, BytesOfSeveralPassesAStep) {
  expect_as_planned(kPasses, 1);
  expect_as_planned(kPasses, 2);
}

TEST(PlanAgainstRun, BytesOfTensorParallelRanks) {
  expect_as_planned(kTinyShape, 2, {.tensor = 2});
  expect_as_planned(kMiniLm, 4, {.tensor = 4});
}

TEST(PlanAgainstRun, BytesUnderZero) {
  expect_as_planned(kTinyShape, 2, {.zero = 1});
  expect_as_planned(kMiniLm, 4, {.tensor = 2, .zero = 1});
}

TEST(PlanAgainstRun, BytesOfASplitStream) {
  expect_as_planned(kTinyShape, 2, {.tensor = 2, .sequence = true});
  expect_as_planned(kMiniLm, 2, {.tensor = 2, .sequence = true});
  expect_as_planned(kMiniLm, 4, {.tensor = 4, .sequence = true});
}

TEST(PlanAgainstRun, BytesInBf16) {
  expect_as_planned(kMiniLm, 1, {.precision = "bf16"});
  expect_as_planned(kMiniLm, 2, {.zero = 1, .precision = "bf16"});
}

TEST(Plan, ModelsFarBeyondThisMachineTakeSeconds) {
  const std::string configs = HEDDLE_SOURCE_DIR "/configs/";
  const std::string command =
      fmt::format("cd {}; {}", HEDDLE_SOURCE_DIR,
                  heddle_command(fmt::format("plan {0}plans/bert_7b.yaml --ranks 64,1024 --cluster "
                                             "{0}clusters/h100_64_nodes.yaml",
                                             configs)));
  const Outcome outcome = run_shell(command);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("64 x 8 x H100"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find(" 1024 "), std::string::npos) << outcome.out;
  EXPECT_LT(outcome.seconds, 30);
}

TEST(Plan, DescribesTheFileOfACluster) {
  EXPECT_NE(run_heddle("plan --describe").out.find("matrix_tflops:"), std::string::npos);
}

}  // namespace
}  // namespace heddle
