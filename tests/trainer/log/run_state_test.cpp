#include "trainer/log/run_state.h"

#include <gtest/gtest.h>

namespace heddle {
namespace {

RunState read(const std::string& text) {
  const Json json = parse_json(text, "run.json");
  return run_state_from_json(JsonView(json, "run.json"));
}

void expect_unreadable(const std::string& text, const std::string& fragment) {
  try {
    read(text);
    ADD_FAILURE() << "read; expected: " << fragment;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    EXPECT_NE(std::string(error.what()).find(fragment), std::string::npos) << error.what();
  }
}

TEST(RunState, RoundTripKeepsEverything) {
  const RunState state{.version = "0.1.0",
                       .step = 5683,
                       .epoch = 3,
                       .last = 5683,
                       .best = BestCheckpoint{.step = 4000, .metric = "accuracy", .value = 0.93},
                       .ended = "finished",
                       .hashes = {{"config", "9f0c"}},
                       .environment = {{"processor", "AMD"}, {"ranks", "2"}}};
  const std::string text = dump_json(to_json(state));
  EXPECT_EQ(text, R"({"best":{"metric":"accuracy","step":4000,"value":0.93},"ended":"finished",)"
                  R"("environment":{"processor":"AMD","ranks":"2"},"epoch":3.0,)"
                  R"("hashes":{"config":"9f0c"},"last":5683,"step":5683,"version":"0.1.0"})");
  EXPECT_EQ(dump_json(to_json(read(text))), text);
}

TEST(RunState, RunThatJustBeganHasNulls) {
  const std::string text = dump_json(to_json(RunState{}));
  EXPECT_NE(text.find("\"best\":null,\"ended\":null"), std::string::npos) << text;
  const RunState state = read(text);
  EXPECT_FALSE(state.best);
  EXPECT_FALSE(state.last);
  EXPECT_EQ(state.ended, "");
}

TEST(RunState, EnvironmentMayHoldNumbers) {
  const RunState state =
      read(R"({"step": 1, "epoch": 0.5, "environment": {"ranks": 2, "fast": true}})");
  EXPECT_EQ(state.environment.at("ranks"), "2");
  EXPECT_EQ(state.environment.at("fast"), "true");
}

TEST(RunState, DamageIsNamed) {
  expect_unreadable(R"({"epoch": 1})", "step");
  expect_unreadable(R"({"step": "x", "epoch": 1})", "run.json: 'step' is a string");
  expect_unreadable(R"({"step": 1, "epoch": 1, "best": {"step": 1}})", "metric");
  expect_unreadable(R"({"step": 1, "epoch": 1, "environment": {"ranks": [2]}})",
                    "'environment.ranks' is no text, number or boolean");
}

}  // namespace
}  // namespace heddle
