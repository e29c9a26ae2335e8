#include "trainer/planner/rank_plan.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "framework/autograd/leaves.h"
#include "framework/autograd/record.h"
#include "framework/device/allocator.h"
#include "framework/nn/arena.h"
#include "framework/ops/losses.h"
#include "framework/parallel/mesh.h"
#include "models/classifier.h"
#include "trainer/leaf_plan.h"
#include "trainer/log/format.h"
#include "trainer/training_setup.h"

namespace heddle {
namespace {

// Passes that are run; the others of a step are as large or smaller, and their work is taken from
// these.
constexpr size_t kMostPasses = 4;

// The batch of a pass, as make_batch() gives it.
Batch planned_batch(const StepPlan::Pass& pass) {
  const Device device = Device::meta();
  const Shape tokens{pass.tokens()};
  std::vector<int32_t> segments = {0};
  for (int64_t length : pass.lengths) {
    segments.push_back(segments.back() + static_cast<int32_t>(length));
  }
  Batch batch;
  batch.ids = Tensor::empty(tokens, DType::kI32, device);
  batch.positions = Tensor::empty(tokens, DType::kI32, device);
  batch.token_types = Tensor::empty(tokens, DType::kI32, device);
  batch.segments = Segments::from(segments, device);
  batch.token_keys = Tensor::empty(tokens, DType::kI64, device);
  batch.sequence_keys =
      Tensor::empty({static_cast<int64_t>(pass.lengths.size())}, DType::kI64, device);
  batch.noise = TrainingNoise{};
  return batch;
}

Loss planned_loss(Problem problem, const Tensor& logits) {
  const Device device = Device::meta();
  if (problem == Problem::kSingleLabel) {
    return cross_entropy_sum(logits, Tensor::empty({logits.dim(0)}, DType::kI32, device), 0);
  }
  const Tensor targets = Tensor::empty(logits.shape(), DType::kF32, device);
  return problem == Problem::kMultiLabel ? binary_cross_entropy_with_logits_sum(logits, targets)
                                         : squared_error_sum(logits, targets);
}

// One pass as TrainStep runs it. Returns what was in use when the forward pass was over.
int64_t run_pass(const Classifier& model, Problem problem, const StepPlan::Pass& pass,
                 const MemoryPlan& memory) {
  std::vector<int64_t> tokens = {0};
  for (int64_t length : pass.lengths) tokens.push_back(tokens.back() + length);
  LeafOffsets token_leaves;
  for (int64_t s : pass.leaves) token_leaves.push_back(tokens[static_cast<size_t>(s)]);
  const LeafScope leaves({token_leaves, pass.leaves});
  const Batch batch = planned_batch(pass);
  const Loss loss = planned_loss(problem, model(batch));
  const int64_t in_use = memory.statistics().in_use;
  backward(loss.sum, Tensor::empty({1}, DType::kF32, Device::meta()));
  return in_use;
}

void scale(Work& work, double by) {
  work.product_flops *= by;
  work.weights *= by;
  work.attention_flops *= by;
  work.element_bytes *= by;
  work.sum_bytes *= by;
  work.sums = static_cast<int64_t>(static_cast<double>(work.sums) * by);
}

// The parameters as GradientArena treats them, with slots for dense gradients.
void make_variables(const ParameterArena& arena, RankPlan& plan) {
  for (const ParameterArena::Entry& entry : arena.entries()) {
    Parameter& parameter = *entry.parameter;
    plan.parameters += entry.numel;
    if (!parameter.trainable) continue;
    const int64_t elements = (entry.numel + 15) / 16 * 16;
    plan.updated += elements;
    if (parameter.row_sparse) {
      plan.sparse += elements;
      plan.sparse_width = parameter.shape()[1];
    } else {
      plan.trained += elements;
    }
    parameter.value = variable(parameter.value);
  }
}

void free_slots(const ParameterArena& arena) {
  for (const ParameterArena::Entry& entry : arena.entries()) {
    const Parameter& parameter = *entry.parameter;
    if (!parameter.trainable) continue;
    Variable& state = variable_state(parameter.value);
    state.gradient = {};
    state.slot_used = false;
    if (!parameter.row_sparse) {
      state.slot = Tensor::view(nullptr, parameter.shape(), DType::kF32, Device::meta());
    }
  }
}

int64_t states_of(const OptimizerConfig& optimizer) {
  if (optimizer.name == "adamw") return 2;
  return optimizer.momentum > 0 ? 1 : 0;
}

// Elements that the optimizer goes through in a step. AdamW leaves rows of the vocabulary that are
// not read as they are, unless they are gathered; no two tokens are taken to be the same.
int64_t elements_of_update(const RankPlan& plan, const MeshPlan& mesh, const StepPlan& step,
                           const OptimizerConfig& optimizer) {
  if (optimizer.name != "adamw" || mesh.zero > 0) return plan.updated;
  return plan.updated - plan.sparse + std::min(plan.sparse, step.batch_tokens * plan.sparse_width);
}

// Messages of the sum over data-parallel ranks: half a slice across nodes; and rows of the
// vocabulary, as ids and values, mine, theirs and merged, if no two tokens are the same.
int64_t message_bytes(const RankPlan& plan, const MeshPlan& mesh, const StepPlan& step,
                      int64_t vocabulary, int64_t ranks_per_node) {
  if (mesh.data == 1) return 0;
  const int64_t in_node = std::clamp<int64_t>(ranks_per_node / mesh.tensor, 1, mesh.data);
  const bool across = in_node < mesh.data;
  const int64_t dense = across ? plan.trained / in_node / 2 * 4 : 0;
  const int64_t rows = std::min(vocabulary, step.batch_tokens);
  const int64_t row_bytes = 8 + 4 * plan.sparse_width;
  return dense + (plan.sparse_width > 0 ? 4 * rows * row_bytes : 0);
}

// The terms, the largest first.
std::vector<std::pair<std::string, int64_t>> by_size(const MemoryTerms& m) {
  std::vector<std::pair<std::string, int64_t>> terms = {
      {"parameters", m.parameters},   {"gradients", m.gradients}, {"optimizer", m.optimizer},
      {"activations", m.activations}, {"workspace", m.workspace}, {"messages", m.communication}};
  std::ranges::stable_sort(terms, std::ranges::greater{}, &std::pair<std::string, int64_t>::second);
  return terms;
}

}  // namespace

int64_t StepPlan::Pass::tokens() const {
  return std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
}

int64_t StepPlan::tokens() const {
  int64_t sum = 0;
  for (const Pass& pass : passes) sum += pass.tokens();
  return sum;
}

int64_t StepPlan::largest_pass() const {
  int64_t largest = 0;
  for (const Pass& pass : passes) largest = std::max(largest, pass.tokens());
  return largest;
}

StepPlan plan_step(const Config& config, int64_t data, std::span<const int64_t> lengths) {
  std::vector<int64_t> samples(lengths.size());
  std::iota(samples.begin(), samples.end(), 0);
  const bool fast = config.numerics.mode == "fast";
  const LeafPlanOptions options = {.leaves = fast ? data : std::max(config.numerics.data, data),
                                   .micro_tokens = config.batch.micro_tokens,
                                   .ranks = data,
                                   .even = fast};
  const LeafPlanner planner(samples, options,
                            [&](int64_t sample) { return lengths[static_cast<size_t>(sample)]; });
  StepPlan heaviest;
  int64_t most = -1;
  for (int64_t rank = 0; rank < data; ++rank) {
    if (planner.tokens(rank) <= most) continue;  // no pass has more than all of them
    const LeafPlan leaves = planner.plan(rank);
    StepPlan step;
    for (const LeafPlan::Pass& pass : leaves.passes) {
      StepPlan::Pass planned{.lengths = {}, .leaves = pass.sample_offsets};
      for (int64_t sample : pass.samples) {
        planned.lengths.push_back(lengths[static_cast<size_t>(sample)]);
      }
      step.passes.push_back(std::move(planned));
    }
    if (step.largest_pass() <= most) continue;
    most = step.largest_pass();
    heaviest = std::move(step);
  }
  heaviest.batch_tokens = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  return heaviest;
}

int64_t MemoryTerms::total() const {
  return lasting() + std::max(activations + workspace, communication);
}

std::string MemoryTerms::largest() const {
  return by_size(*this).front().first;
}

std::string MemoryTerms::text() const {
  std::string parts;
  for (const auto& [name, bytes] : by_size(*this)) {
    if (bytes == 0) continue;
    parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", name,
                         format_bytes(static_cast<uint64_t>(bytes)));
  }
  return fmt::format("{}: {}", format_bytes(static_cast<uint64_t>(total())), parts);
}

namespace {

// What does not depend on how many ranks there are beside: the model's own run. `updated` is of all
// that this rank has.
RankPlan run_rank(const Config& config, const ClassifierConfig& model_config, const MeshPlan& mesh,
                  const StepPlan& step) {
  RankPlan plan;
  plan.passes = static_cast<int64_t>(step.passes.size());
  plan.tokens = step.tokens();

  const MemoryPlan memory;
  // The last rank of a group: where a cut is uneven, its part is among the largest.
  Classifier model(model_config,
                   Group(static_cast<int>(mesh.tensor), static_cast<int>(mesh.tensor) - 1,
                         static_cast<int>(std::max(mesh.parts, mesh.tensor)), nullptr,
                         stream_of(config.parallel)));
  const ParameterArena arena(model, Device::meta());
  mark_trainable(config.model.train, model_config.layers, arena);
  plan.bytes.parameters = memory.statistics().in_use;
  make_variables(arena, plan);

  // The sum; with several passes, a pass beside it and what the tree of passes keeps.
  const auto passes = static_cast<uint64_t>(std::max<int64_t>(1, plan.passes));
  const int64_t blocks = passes > 1 ? 1 + std::bit_width(passes - 1) : 0;
  plan.bytes.gradients = (1 + blocks) * plan.trained * int64_t{sizeof(float)};

  std::vector<const StepPlan::Pass*> order;
  for (const StepPlan::Pass& pass : step.passes) order.push_back(&pass);
  std::ranges::sort(order, std::ranges::greater{}, &StepPlan::Pass::tokens);
  if (order.size() > kMostPasses) order.resize(kMostPasses);
  int64_t after_forward = plan.bytes.parameters;
  int64_t tokens = 0;
  const WorkCount count;
  for (const StepPlan::Pass* pass : order) {
    if (pass->lengths.empty()) continue;
    free_slots(arena);
    after_forward = std::max(after_forward, run_pass(model, model_config.problem, *pass, memory));
    tokens += pass->tokens();
  }
  plan.work = count.work();
  if (tokens > 0) scale(plan.work, static_cast<double>(plan.tokens) / static_cast<double>(tokens));
  plan.bytes.activations = after_forward - plan.bytes.parameters;
  plan.bytes.workspace = memory.statistics().high_water - after_forward;
  if (mesh.tensor > 1) plan.bytes.workspace += Mesh::kWindow * int64_t{sizeof(float)};
  return plan;
}

}  // namespace

RankPlan RankPlanner::plan(const MeshPlan& mesh, const StepPlan& step, int64_t ranks_per_node) {
  const auto same = std::ranges::find_if(runs_, [&](const Run& run) {
    return run.tensor == mesh.tensor && run.parts == mesh.parts && run.passes == step.passes;
  });
  RankPlan plan = same != runs_.end() ? same->plan : run_rank(config_, model_, mesh, step);
  if (same == runs_.end()) runs_.push_back({mesh.tensor, mesh.parts, step.passes, plan});
  if (mesh.zero > 0) plan.updated = (plan.updated + mesh.data - 1) / mesh.data;
  plan.bytes.optimizer = states_of(config_.optimizer) * plan.updated * int64_t{sizeof(float)};
  plan.stepped = elements_of_update(plan, mesh, step, config_.optimizer);
  plan.bytes.communication = message_bytes(plan, mesh, step, model_.vocabulary, ranks_per_node);
  return plan;
}

RankPlan plan_rank(const Config& config, const ClassifierConfig& model, const MeshPlan& mesh,
                   const StepPlan& step, int64_t ranks_per_node) {
  return RankPlanner(config, model).plan(mesh, step, ranks_per_node);
}

}  // namespace heddle
