// What a profile says of a model: work by the formulas, time by module, tables and trace.
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>

#include "framework/autograd/record.h"
#include "framework/comm/single.h"
#include "framework/io/json.h"
#include "tests/models/small_model.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/profile/tables.h"
#include "trainer/profile/totals.h"
#include "trainer/profile/trace.h"

namespace heddle {
namespace {

// Forward and backward of the small model over 7 tokens.
void run_model(const ClassifierConfig& config) {
  SmallModel small(config);
  for (const ParameterArena::Entry& entry : small.arena.entries()) {
    entry.parameter->value = variable(entry.parameter->value);
  }
  const Tensor logits = small.model(small_batch({3, 4}));
  const Tensor dy = Tensor::empty_like(logits);
  dy.fill(1);
  backward(logits, dy);
}

ProfileTotals profile_of(const std::function<void()>& run) {
  const auto world = make_single();
  Profile profile(1000);
  run();
  profile.stop();
  return gather_totals(profile, *world, 1);
}

double sum(const ProfileTotals& totals, double ProfileLine::*what,
           const std::function<bool(const ProfileLine&)>& of) {
  double sum = 0;
  for (const ProfileLine& line : totals.lines) {
    if (of(line)) sum += line.*what;
  }
  return sum;
}

TEST(Profile, ProductsOfAModelAreCountedByTheirShapes) {
  const ClassifierConfig config = small_config();
  const ProfileTotals totals = profile_of([&] { run_model(config); });
  const auto flops = [&](const std::string& name, const std::string& module) {
    return sum(totals, &ProfileLine::flops,
               [&](const ProfileLine& line) { return line.name == name && line.module == module; });
  };
  // 2 T in out: 7 tokens, hidden 32, intermediate 48.
  const double up = 2.0 * 7 * 32 * 48;
  EXPECT_EQ(flops("linear", "encoder.layers.1.feed_forward.up"), up);
  EXPECT_EQ(flops("linear input", "encoder.layers.1.feed_forward.up"), up);
  EXPECT_EQ(flops("linear weight", "encoder.layers.1.feed_forward.up"), up);
  EXPECT_EQ(flops("linear", "head.dense"), 2.0 * 2 * 32 * 32);
  // Pairs of queries and keys of both sequences, 2 products, then 5.
  const double pairs = 3 * 3 + 4 * 4;
  EXPECT_EQ(flops("attention", "encoder.layers.0.attention"), 2 * (2 + 5) * pairs * 32);
}

TEST(Profile, TheTimesOfSpansAddUpToNoMoreThanTheRun) {
  const ProfileTotals totals = profile_of([&] { run_model(small_config()); });
  const auto all = [](const ProfileLine&) { return true; };
  EXPECT_GT(sum(totals, &ProfileLine::seconds, all), 0);
  EXPECT_LE(sum(totals, &ProfileLine::seconds, all), totals.seconds);
}

TEST(Profile, BackwardIsOfTheModuleThatRecordedIt) {
  for (const Recompute recompute : {Recompute::kNone, Recompute::kLayer}) {
    ClassifierConfig config = small_config();
    config.recompute = recompute;
    const ProfileTotals totals = profile_of([&] { run_model(config); });
    std::set<std::string> titles;
    for (const ProfileLine& line : totals.lines) {
      if (line.module.starts_with("encoder.layers.0.attention.")) titles.insert(line.title());
    }
    EXPECT_EQ(titles.count("linear"), 1u);
    EXPECT_EQ(titles.count("linear weight backward"), 1u);
    EXPECT_EQ(titles.count("linear recomputed"), recompute == Recompute::kLayer ? 1u : 0u);
  }
}

TEST(Profile, TablesNameOpsModulesAndTheRest) {
  ProfileTotals totals = profile_of([&] { run_model(small_config()); });
  ProfileLine& beside = totals.lines.emplace_back();
  beside.name = "write checkpoint";
  beside.kind = SpanKind::kStage;
  beside.main = false;
  const std::string unknown = profile_tables(totals, {});
  EXPECT_NE(unknown.find("measure them by heddle bench --threads 1"), std::string::npos) << unknown;
  MachineLimits limits;
  limits.products.push_back({.name = "", .rate = 1e9});
  limits.memory.push_back({.name = "", .bytes = 1, .read = 1e9, .copy = 1e9});
  const std::string text = profile_tables(totals, limits);
  for (const char* part :
       {"profile of 1 rank x 1 thread: ", "limits: f32 1 GFLOP/s, memory 1.0 GB/s\n", "\nop ",
        "\nlinear ", "\nattention backward ", "\nmodule ", "\nencoder.layers.*.attention ",
        "\noutside of ops ", "\nin modules, between ops ", "\nelsewhere ", "\non other threads ",
        "\nwrite checkpoint "}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
  }
}

TEST(Profile, RecomputationIsOfNoUse) {
  ProfileTotals totals;
  totals.seconds = 1;
  totals.lines = {{.name = "linear", .type = "f32", .module = "", .seconds = 0.25, .flops = 2e9},
                  {.name = "linear",
                   .type = "f32",
                   .module = "",
                   .pass = TapePass::kRecomputed,
                   .seconds = 0.5,
                   .flops = 4e9}};
  MachineLimits limits;
  limits.products.push_back({.name = "", .rate = 16e9});
  const std::string text = profile_tables(totals, limits);
  EXPECT_NE(text.find("75.0 % in ops; useful: 2.0 GFLOP/s"), std::string::npos) << text;
  EXPECT_NE(text.find("linear             f32       0    0.250  25.0 %      8.0            50 %\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("linear recomputed  f32       0    0.500  50.0 %\n"), std::string::npos)
      << text;
}

TEST(Profile, ATraceHasTheSpansOfAllRanks) {
  std::string trace;
  Profile profile(20);  // of this process
  run_model(small_config());
  profile.stop();
  run_threads(2, [&](Communicator& world) {
    const std::string mine = gather_trace(profile, world);
    if (world.rank() == 0) trace = mine;
    EXPECT_EQ(mine.empty(), world.rank() != 0);
  });
  ASSERT_TRUE(trace.starts_with(kTraceBegin));
  const Json json = parse_json(trace, "trace");
  EXPECT_EQ(json["otherData"]["left_out"], 2 * profile.left_out());
  int64_t spans = 0;
  std::set<int64_t> ranks;
  bool with_work = false;
  for (const Json& event : json["traceEvents"]) {
    ranks.insert(event["pid"].get<int64_t>());
    if (event["ph"] != "X") continue;
    ++spans;
    EXPECT_FALSE(event["name"].get<std::string>().empty());
    EXPECT_GE(event["dur"].get<double>(), 0);
    with_work = with_work || (event["cat"] == "op" && event["args"]["flops"].get<int64_t>() > 0);
  }
  EXPECT_EQ(spans, 40);
  EXPECT_EQ(ranks, (std::set<int64_t>{0, 1}));
  EXPECT_TRUE(with_work);
}

}  // namespace
}  // namespace heddle
