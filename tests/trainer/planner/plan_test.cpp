#include "trainer/planner/plan.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/trainer/tiny_run.h"
#include "trainer/config/yaml.h"

namespace heddle {
namespace {

Machine a_machine() {
  Machine m;
  m.name = "a machine";
  m.ranks_per_node = 8;
  m.memory = int64_t{1} << 30;
  m.product_rate = m.attention_rate = 1e11;
  m.weight_rate = 1e10;
  m.element_rate = 1e10;
  m.norm_rate = 1e10;
  m.update_rate = 1e9;
  m.stream_rate = 3e10;
  m.in_node = {.gb_per_s = 10, .latency_us = 5, .collective = "shared_memory"};
  m.network = m.in_node;
  return m;
}

PlanInput tiny_input(const std::vector<std::string>& assignments = {}, int64_t length = 0) {
  const Scratch scratch;
  PosixFileSystem files;
  return plan_input(files, tiny_config(scratch, "run", assignments), length);
}

TEST(PlanInput, WithoutDataEverySequenceHasTheGreatestLength) {
  const PlanInput input = tiny_input();
  EXPECT_EQ(input.lengths, std::vector<int64_t>(7, 16));
  ASSERT_EQ(input.assumptions.size(), 1u);
  EXPECT_TRUE(has(input.assumptions[0], "every sequence has 16 tokens (data.max_length)"));
  EXPECT_EQ(tiny_input({}, 5).lengths, std::vector<int64_t>(7, 5));
  EXPECT_EQ(tiny_input({"batch={tokens: 64}"}).lengths.size(), 4u);
}

TEST(PlanInput, TokenizedDataGiveTheHeaviestBatch) {
  const Scratch scratch;
  PosixFileSystem files;
  const Config config = tiny_config(scratch, "run", {"training.steps=2"});
  train_on(1, config);
  const PlanInput input = plan_input(files, config, 0);
  EXPECT_EQ(input.lengths.size(), 7u);
  EXPECT_LT(input.batch_tokens(), 7 * 16);
  EXPECT_TRUE(has(input.assumptions[0], "the heaviest batch of the tokenized data"));
}

TEST(PlanInput, RowsThatAreNotThereAreAssumed) {
  const PlanInput input = tiny_input({"data.train.path=gone.tsv", "data.validation=~"});
  EXPECT_EQ(input.model.outputs(), 2);
  EXPECT_TRUE(has(input.assumptions[0], "two labels are assumed"));
}

TEST(PlanInput, ALengthBeyondTheModelIsRefused) {
  EXPECT_TRUE(has(caught([] { (void)tiny_input({}, 33); }).what,
                  "--length 33: the model has 32 positions"));
}

TEST(Plan, ListsTheMeshesAndPicksTheFastestThatFits) {
  const Plan plan = make_plan(tiny_input({"batch.size=64"}, 16), a_machine(), {.ranks = {1, 2}});
  ASSERT_GE(plan.meshes.size(), 2u);
  EXPECT_EQ(plan.meshes[0].mesh, (MeshPlan{.data = 1}));
  EXPECT_EQ(plan.meshes[0].obstacle, "");
  ASSERT_TRUE(plan.best.has_value());
  EXPECT_TRUE(has(plan.advice, "try mpirun -n"));
  EXPECT_TRUE(has(plan.advice, "parallel: {data:"));
  const std::string table = plan_table(plan);
  EXPECT_TRUE(has(table, "data x tensor"));
  EXPECT_TRUE(has(table, "1 x 1"));
  EXPECT_TRUE(has(table, "all times are predicted"));
}

TEST(Plan, SaysWhetherTheStreamIsSplitAndAdvisesIt) {
  // One long sequence: two ranks can only share it as a tensor group.
  const auto plan_of = [](const char* sequence, int64_t memory) {
    const PlanInput input = tiny_input({"batch.size=1", "model.architecture.max_positions=4096",
                                        "model.architecture.intermediate_size=512", sequence},
                                       4096);
    return make_plan(input, a_machine(), {.ranks = {2}, .memory = memory << 20});
  };
  const Plan whole = plan_of("parallel.sequence=false", 101);
  EXPECT_TRUE(has(whole.advice, "try parallel.sequence: true"));
  EXPECT_FALSE(has(plan_table(whole), "split over the ranks of tensor"));
  EXPECT_EQ(to_json(whole)["sequence"], false);
  const Plan split = plan_of("parallel.sequence=true", 101);
  EXPECT_TRUE(has(split.advice, "try a batch.micro_tokens below"));
  EXPECT_TRUE(has(plan_table(split), "split over the ranks of tensor"));
  const Plan fits = plan_of("parallel.sequence=true", 1000);
  EXPECT_TRUE(has(fits.advice, "parallel: {data: 1, tensor: 2, zero: 0, sequence: true}"));
}

TEST(Plan, WhatDoesNotFitNamesTheLargestTerm) {
  const Plan plan =
      make_plan(tiny_input(), a_machine(), {.ranks = {1}, .memory = int64_t{101} << 20});
  EXPECT_FALSE(plan.best.has_value());
  EXPECT_TRUE(has(plan.meshes[0].obstacle, "of 101 MiB; optimizer is largest"));
  EXPECT_TRUE(has(plan.advice, "nothing fits"));
}

TEST(Plan, MoreRanksThanLeavesNeedMoreLeaves) {
  const Plan plan = make_plan(tiny_input({"batch.size=64"}), a_machine(), {.ranks = {3, 16}});
  ASSERT_GE(plan.meshes.size(), 2u);
  EXPECT_TRUE(has(plan.meshes[0].obstacle, "canonical arithmetic takes powers of two"));
  bool found = false;
  for (const PlannedMesh& mesh : plan.meshes) {
    found = found || (mesh.mesh.data == 16 && mesh.condition == "numerics.data: 16");
  }
  EXPECT_TRUE(found);
}

TEST(Plan, SlicesOfAModelAreInF32) {
  const Plan plan = make_plan(tiny_input({"precision=bf16"}), a_machine(), {.ranks = {2}});
  for (const PlannedMesh& mesh : plan.meshes) {
    EXPECT_EQ(mesh.obstacle,
              mesh.mesh.tensor > 1 ? "precision bf16 of a model in slices: not yet" : "");
  }
}

TEST(Plan, JsonHoldsEveryTerm) {
  const Json json = to_json(make_plan(tiny_input(), a_machine(), {.ranks = {1}}));
  const Json& mesh = json["meshes"][0];
  int64_t sum = 0;
  for (const char* term : {"parameters", "gradients", "optimizer", "activations", "workspace"}) {
    sum += mesh["bytes"][term].get<int64_t>();
  }
  EXPECT_EQ(mesh["bytes"]["allocator"], sum);
  EXPECT_GT(mesh["seconds"]["step"], 0);
  EXPECT_EQ(json["best"], 0);
}

TEST(ParseRanks, ReadsNumbersListsAndRanges) {
  EXPECT_EQ(parse_ranks("4"), (std::vector<int64_t>{4}));
  EXPECT_EQ(parse_ranks("2,1,16"), (std::vector<int64_t>{1, 2, 16}));
  EXPECT_EQ(parse_ranks("1..12"), (std::vector<int64_t>{1, 2, 4, 8, 12}));
  EXPECT_EQ(parse_ranks("1..1"), (std::vector<int64_t>{1}));
  for (const char* bad : {"", "0", "many", "1..", "2,,4", "99999999999"}) {
    EXPECT_TRUE(has(caught([&] { (void)parse_ranks(bad); }).what, "no number of ranks")) << bad;
  }
}

TEST(Plan, ThousandsOfRanksArePlannedInMoments) {
  for (const std::string mode : {"canonical", "fast"}) {
    const auto begun = std::chrono::steady_clock::now();
    const Plan plan = make_plan(tiny_input({"batch.size=256", "numerics.mode=" + mode}, 16),
                                a_machine(), {.ranks = parse_ranks("1..65536")});
    EXPECT_EQ(plan.meshes.back().mesh.ranks(), 65536);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(3)) << mode;
  }
}

TEST(RankPlanner, SaysOfEveryMeshWhatItsOwnRunSays) {
  const PlanInput input = tiny_input({"batch.size=64"}, 16);
  RankPlanner planner(input.config, input.model);
  for (const int64_t data : {1, 2, 4, 64, 128}) {
    const StepPlan step = plan_step(input.config, data, input.lengths);
    for (const int64_t zero : {0, 1}) {
      const MeshPlan mesh = {.data = data, .zero = zero};
      const RankPlan once = plan_rank(input.config, input.model, mesh, step, 8);
      const RankPlan again = planner.plan(mesh, step, 8);
      EXPECT_EQ(again.bytes.text(), once.bytes.text());
      EXPECT_EQ(again.bytes.total(), once.bytes.total());
      EXPECT_EQ(again.updated, once.updated);
      EXPECT_EQ(again.tokens, once.tokens);
      EXPECT_EQ(again.work.product_flops, once.work.product_flops);
    }
  }
}

}  // namespace
}  // namespace heddle
