#include "trainer/planner/machine.h"

#include <gtest/gtest.h>

#include "tests/trainer/tiny_run.h"
#include "trainer/planner/measure.h"

namespace heddle {
namespace {

const char kGood[] = R"(name: two nodes
nodes: 2
ranks_per_node: 4
memory: 16 GiB
matrix_tflops: 10
attention_tflops: 2
memory_gb_per_s: 280
in_node: {gb_per_s: 100, latency_us: 2, collective: ring}
network: {gb_per_s: 10, latency_us: 20}
)";

Caught read(const std::string& text, Precision precision = Precision::kF32) {
  const Scratch scratch;
  const std::string path = scratch.write("cluster.yaml", text);
  PosixFileSystem files;
  return caught([&] { (void)read_cluster(files, path, precision); });
}

TEST(ByteSize, ReadsWhatPeopleWrite) {
  EXPECT_EQ(ByteSize::parse("16 GiB")->bytes, int64_t{16} << 30);
  EXPECT_EQ(ByteSize::parse("16GiB")->bytes, int64_t{16} << 30);
  EXPECT_EQ(ByteSize::parse("1.5 kB")->bytes, 1500);
  EXPECT_EQ(ByteSize::parse("80 GB")->bytes, 80'000'000'000);
  EXPECT_EQ(ByteSize::parse("123")->bytes, 123);
  for (const char* bad : {"", "GiB", "16 gib", "-1 GB", "0", "1e30 TB", "4 GB of it", "1..2 GB"}) {
    EXPECT_FALSE(ByteSize::parse(bad)) << bad;
  }
}

TEST(Cluster, AFileBecomesRates) {
  const Scratch scratch;
  PosixFileSystem files;
  const Machine m = read_cluster(files, scratch.write("c.yaml", kGood));
  EXPECT_EQ(m.name, "two nodes");
  EXPECT_EQ(m.nodes, 2);
  EXPECT_EQ(m.memory_of_rank(8), int64_t{16} << 30);
  EXPECT_DOUBLE_EQ(m.product_rate, 1e13);
  EXPECT_DOUBLE_EQ(m.update_rate, 1e10);  // 28 bytes an element
  EXPECT_EQ(m.network.collective, "halving");
  EXPECT_FALSE(m.measured);
}

TEST(Cluster, RatesInBf16HaveTheirOwnLines) {
  const Scratch scratch;
  PosixFileSystem files;
  const std::string both = scratch.write(
      "c.yaml", std::string(kGood) + "bf16: {matrix_tflops: 25, attention_tflops: 3}\n");
  const Machine m = read_cluster(files, both, Precision::kBF16);
  EXPECT_DOUBLE_EQ(m.product_rate, 2.5e13);
  EXPECT_DOUBLE_EQ(m.attention_rate, 3e12);
  EXPECT_DOUBLE_EQ(read_cluster(files, both).product_rate, 1e13);
  const Caught without = read(kGood, Precision::kBF16);
  EXPECT_TRUE(has(without.what, "cluster.yaml: the run is in bf16, but there is no 'bf16'"));
  EXPECT_EQ(without.code, ExitCode::kInput);
}

TEST(Cluster, TheExamplesAreGood) {
  PosixFileSystem files;
  const std::string folder = HEDDLE_SOURCE_DIR "/configs/clusters/";
  EXPECT_EQ(read_cluster(files, folder + "h100_node.yaml").ranks_per_node, 8);
  EXPECT_EQ(read_cluster(files, folder + "h100_64_nodes.yaml").nodes, 64);
}

TEST(Cluster, MistakesHaveTheirLine) {
  std::string text = kGood;
  text.replace(text.find("matrix_tflops"), 13, "matrix_tflop");
  const Caught unknown = read(text);
  EXPECT_TRUE(has(unknown.what, "cluster.yaml:5: unknown key 'matrix_tflop'"));
  EXPECT_TRUE(has(unknown.what, "did you mean 'matrix_tflops'?"));
  EXPECT_EQ(unknown.code, ExitCode::kInput);

  text = kGood;
  text.replace(text.find("16 GiB"), 6, "lots");
  EXPECT_TRUE(has(read(text).what, "cluster.yaml:4: 'memory' is 'lots'. Expected bytes such as"));

  text = kGood;
  text.resize(text.find("network"));
  EXPECT_TRUE(has(read(text).what, "cluster.yaml:2: 'nodes' is 2, but there is no 'network'"));
}

TEST(Cluster, EveryKeyIsDescribed) {
  const std::string text = describe_cluster();
  for (const char* key : {"ranks_per_node:", "  gb_per_s:", "network:", "TFLOP/s; required"}) {
    EXPECT_TRUE(has(text, key));
  }
}

TEST(Measure, ThisMachineIsMeasuredOnceAndKept) {
  const Scratch scratch;
  PosixFileSystem files;
  const MeasuredShape shape{
      .hidden = 32, .intermediate = 64, .heads = 2, .rows = 64, .length = 16, .dropout = true};
  const std::string cache = scratch.path("cache/machine.json");
  const Machine first = this_machine(files, cache, "a processor", shape);
  EXPECT_TRUE(first.measured);
  EXPECT_GT(first.product_rate, 1e7);
  EXPECT_GT(first.weight_rate, 1e6);
  EXPECT_GT(first.attention_rate, 1e6);
  EXPECT_GT(first.element_rate, 1e6);
  EXPECT_GT(first.norm_rate, 1e6);
  EXPECT_GT(first.update_rate, 1e6);
  EXPECT_GT(first.in_node.gb_per_s, 0.1);
  EXPECT_GE(first.memory_scaling, 1);
  const Machine again = this_machine(files, cache, "a processor", shape);
  EXPECT_EQ(again.product_rate, first.product_rate);
  EXPECT_EQ(again.name, "a processor");
  EXPECT_NE(this_machine(files, cache, "another", shape).product_rate, first.product_rate);

  scratch.write("cache/machine.json", "{damaged");
  EXPECT_GT(this_machine(files, cache, "a processor", shape).product_rate, 1e7);
  EXPECT_GT(this_machine(files, "", "a processor", shape).product_rate, 1e7);
}

TEST(Measure, LargeModelsAreMeasuredInTheirProportions) {
  ClassifierConfig model;
  model.hidden_size = 4096;
  model.heads = 32;
  model.intermediate_size = 16384;
  StepPlan step;
  step.passes.push_back({.lengths = std::vector<int64_t>(64, 128), .leaves = {0, 64}});
  const MeasuredShape shape = shape_of(model, step);
  EXPECT_EQ(shape.hidden, 1024);
  EXPECT_EQ(shape.heads, 8);
  EXPECT_EQ(shape.intermediate, 4096);
  EXPECT_EQ(shape.rows, 1024);
  EXPECT_EQ(shape.leaves, 1);
  EXPECT_EQ(shape.length, 128);
  EXPECT_EQ(shape.precision, Precision::kF32);
  model.precision = Precision::kBF16;
  EXPECT_NE(shape_of(model, step).text(), shape.text());
}

}  // namespace
}  // namespace heddle
