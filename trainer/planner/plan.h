// Which meshes of ranks a run could use: bytes of a rank, whether they fit, seconds of a step, and
// what to try. From the config alone; no weight is read and nothing is computed.
//
//   const PlanInput input = plan_input(files, config, {});
//   const Plan plan = make_plan(input, machine, {.ranks = {1, 2, 4}});
//   plan_table(plan);
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "datasets/tokenized_dataset.h"
#include "framework/io/json.h"
#include "trainer/planner/machine.h"
#include "trainer/planner/rank_plan.h"
#include "trainer/planner/step_time.h"

namespace heddle {

struct PlanInput {
  Config config;
  ClassifierConfig model;
  std::vector<int64_t> lengths;          // of the sequences of the batch that is planned
  std::vector<std::string> assumptions;  // what was not known, and what was taken for it

  int64_t batch_tokens() const;
};

// Lengths of the sequences of that batch, of the first so many of a run, in which one of
// `data_ranks` ranks has the largest pass.
std::vector<int64_t> heaviest_batch(const Config& config, const TokenizedDataset& data,
                                    int64_t data_ranks, int64_t batches);

// Reads config.json or the tokenizer, and lengths from the run's tokenized data where they are
// there; otherwise every sequence has `length` tokens, or if 0 data.max_length.
PlanInput plan_input(FileSystem& files, const Config& config, int64_t length = 0);

struct PlanOptions {
  std::vector<int64_t> ranks = {1};
  std::optional<int64_t> memory = {};  // bytes of a rank; otherwise as the machine says
};

struct PlannedMesh {
  MeshPlan mesh;
  RankPlan rank;
  StepTime time;
  int64_t memory = 0;     // bytes that the rank may have
  int64_t needs = 0;      // bytes of the process: the plan, and the program itself
  std::string obstacle;   // why it does not go; empty if it does
  std::string condition;  // what the config must say for it, if anything
};

struct Plan {
  PlanInput input;
  Machine machine;
  std::vector<PlannedMesh> meshes;
  std::optional<size_t> best;  // the fastest that goes
  std::string advice;
};

Plan make_plan(PlanInput input, const Machine& machine, const PlanOptions& options);

// "1..8", "4" or "1,2,16". A range holds the powers of two in it and its ends. Throws
// Error(kInput).
std::vector<int64_t> parse_ranks(const std::string& text);

std::string plan_table(const Plan& plan);
Json to_json(const Plan& plan);

}  // namespace heddle
