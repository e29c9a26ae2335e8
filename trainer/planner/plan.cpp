#include "trainer/planner/plan.h"

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>
#include <utility>

#include "datasets/epoch_sampler.h"
#include "trainer/log/format.h"
#include "trainer/run_folder.h"
#include "trainer/training_setup.h"

namespace heddle {
namespace {

// What the program takes besides: code, libraries, MPI, the vocabulary.
constexpr int64_t kProgramBytes = int64_t{100} << 20;
// Batches that are looked through for the heaviest.
constexpr int64_t kMostBatches = 20000;
constexpr int64_t kMostRanks = int64_t{1} << 20;

bool is_power_of_two(int64_t n) {
  return std::has_single_bit(static_cast<uint64_t>(n));
}

// Slices of each matrix on so many tensor-parallel ranks.
int64_t parts_of(const Config& config, int64_t tensor) {
  if (config.numerics.mode == "fast") return tensor;
  return std::max(tensor, config.numerics.tensor.value_or(tensor));
}

bool canonical(const Config& config) {
  return config.numerics.mode != "fast";
}

// The model that a config describes; with assumed labels if the rows that name them are not there.
TrainingModel describe_or_assume(FileSystem& files, Config& config,
                                 std::vector<std::string>& assumptions) {
  try {
    return describe_training_model(files, config);
  } catch (const Error&) {
    if (config.model.head.labels) throw;
    config.model.head.labels = {"0", "1"};
    TrainingModel model = describe_training_model(files, config);
    assumptions.emplace_back("the training rows are not there: two labels are assumed");
    return model;
  }
}

// Lengths of the heaviest batch of the run, from the run's tokenized data; empty if there
// are none.
std::vector<int64_t> lengths_of_data(FileSystem& files, const Config& config,
                                     const TrainingModel& model) {
  try {
    const std::string key =
        TokenizedDataset::key(files, tokenized_source(config, model, config.data.train));
    const std::string path = join_path(RunFolder(config.output).cache(), key + ".tokens");
    if (!files.exists(path)) return {};
    const TokenizedDataset data = TokenizedDataset::open(files, path, key);
    int64_t batches = config.training.steps.value_or(kMostBatches);
    if (config.training.epochs) {
      const int64_t size = std::max<int64_t>(1, config.batch.size.value_or(1));
      batches = (data.size() + size - 1) / size * *config.training.epochs;
    }
    return heaviest_batch(config, data, 1, batches);
  } catch (const Error&) {
    return {};
  }
}

// Tokens of the rank that gets most of a batch: no pass has more.
int64_t largest_share(const std::vector<int64_t>& lengths, int64_t ranks) {
  const auto count = static_cast<int64_t>(lengths.size());
  int64_t most = 0;
  for (int64_t r = 0; r < ranks; ++r) {
    const auto [begin, end] = leaf_range(count, r, ranks);
    most =
        std::max(most, std::accumulate(lengths.begin() + begin, lengths.begin() + end, int64_t{0}));
  }
  return most;
}

std::vector<int64_t> equal_lengths(const Config& config, int64_t length) {
  int64_t count = config.batch.size.value_or(0);
  if (config.batch.tokens) count = std::max<int64_t>(1, *config.batch.tokens / length);
  return std::vector<int64_t>(static_cast<size_t>(count), length);
}

PlannedMesh plan_mesh(const PlanInput& input, const Machine& machine, const MeshPlan& mesh,
                      std::optional<int64_t> memory, RankPlan rank) {
  PlannedMesh planned;
  planned.mesh = mesh;
  planned.memory = memory.value_or(machine.memory_of_rank(mesh.ranks()));
  planned.rank = std::move(rank);
  planned.time = step_time(machine, planned.rank, mesh, input.config.threads.value_or(0));
  planned.needs = planned.rank.bytes.total() + kProgramBytes;
  const MemoryTerms& bytes = planned.rank.bytes;
  if (planned.needs > planned.memory) {
    planned.obstacle = fmt::format(
        "needs {} of {}; {} is largest", format_bytes(static_cast<uint64_t>(planned.needs)),
        format_bytes(static_cast<uint64_t>(planned.memory)), bytes.largest());
  }
  if (const int64_t there = machine.nodes * machine.ranks_per_node; mesh.ranks() > there) {
    planned.obstacle = fmt::format("the machine has {} ranks", there);
  }
  if (mesh.parts > 1 && input.model.precision != Precision::kF32) {
    planned.obstacle =
        fmt::format("precision {} of a model in slices: not yet", name_of(input.model.precision));
  }
  if (canonical(input.config)) {
    if (!is_power_of_two(mesh.data)) {
      planned.obstacle = "canonical arithmetic takes powers of two; set numerics.mode: fast";
    } else if (mesh.data > input.config.numerics.data) {
      planned.condition = fmt::format("numerics.data: {}", mesh.data);
    }
  }
  return planned;
}

std::string mesh_text(const MeshPlan& mesh) {
  return fmt::format("{} x {}", mesh.data, mesh.tensor);
}

// What to change where nothing fits.
std::string advice_to_fit(const Plan& plan) {
  const auto least =
      std::ranges::min_element(plan.meshes, {}, [](const PlannedMesh& m) { return m.needs; });
  if (least == plan.meshes.end()) return "no mesh has that many ranks";
  const std::string largest = least->rank.bytes.largest();
  std::string change = "more ranks, or a smaller model";
  if (largest == "activations" && least->mesh.tensor > 1 && !plan.input.config.parallel.sequence) {
    change = "parallel.sequence: true";
  } else if (largest == "activations" || largest == "workspace") {
    change = fmt::format("a batch.micro_tokens below {}, or a shorter data.max_length",
                         plan.input.config.batch.micro_tokens);
  } else if (largest == "gradients" && least->rank.passes > 1) {
    change = "a larger batch.micro_tokens (fewer passes to keep), or more ranks";
  } else if (least->mesh.zero == 0 && largest == "optimizer") {
    change = "parallel.zero: 1 on more ranks";
  }
  return fmt::format(
      "nothing fits. The least is {} (data x tensor, zero {}) with {} a rank, and {} "
      "the largest part: try {}",
      mesh_text(least->mesh), least->mesh.zero, format_bytes(static_cast<uint64_t>(least->needs)),
      largest, change);
}

std::string advice_for(const Plan& plan) {
  if (!plan.best) return advice_to_fit(plan);
  const PlannedMesh& best = plan.meshes[*plan.best];
  const bool split = plan.input.config.parallel.sequence && best.mesh.tensor > 1;
  std::string settings =
      fmt::format("parallel: {{data: {}, tensor: {}, zero: {}{}}}", best.mesh.data,
                  best.mesh.tensor, best.mesh.zero, split ? ", sequence: true" : "");
  if (!best.condition.empty()) settings += ", " + best.condition;
  return fmt::format("try mpirun -n {} with {}: {} s a step, {} tokens/s", best.mesh.ranks(),
                     settings, format_number(best.time.total()),
                     format_count(static_cast<int64_t>(
                         static_cast<double>(plan.input.batch_tokens()) / best.time.total())));
}

}  // namespace

int64_t PlanInput::batch_tokens() const {
  int64_t sum = 0;
  for (int64_t length : lengths) sum += length;
  return sum;
}

std::vector<int64_t> heaviest_batch(const Config& config, const TokenizedDataset& data,
                                    int64_t data_ranks, int64_t batches) {
  const auto length = [&](int64_t sample) { return data.length(sample); };
  const int64_t leaves = canonical(config) ? config.numerics.data : data_ranks;
  EpochSampler sampler(data.size(), sampler_options(config, leaves), length);
  std::vector<int64_t> heaviest, lengths;
  int64_t most = -1;
  for (int64_t b = 0; b < std::min(batches, kMostBatches); ++b) {
    const GlobalBatch batch = sampler.next();
    lengths.clear();
    for (int64_t sample : batch.samples) lengths.push_back(length(sample));
    if (largest_share(lengths, data_ranks) <= most) continue;
    const StepPlan step = plan_step(config, data_ranks, lengths);
    if (step.largest_pass() <= most) continue;
    most = step.largest_pass();
    heaviest = lengths;
  }
  return heaviest;
}

PlanInput plan_input(FileSystem& files, const Config& config, int64_t length) {
  PlanInput input{.config = config, .model = {}, .lengths = {}, .assumptions = {}};
  const TrainingModel model = describe_or_assume(files, input.config, input.assumptions);
  input.model = model.config;
  if (length > input.model.max_positions) {
    throw Error(
        ExitCode::kInput,
        fmt::format("--length {}: the model has {} positions", length, input.model.max_positions),
        "give a length that a sequence can have");
  }
  if (length == 0) input.lengths = lengths_of_data(files, config, model);
  if (!input.lengths.empty()) {
    input.assumptions.push_back(fmt::format(
        "lengths are those of the heaviest batch of the tokenized data: {} sequences, {} tokens",
        input.lengths.size(), input.batch_tokens()));
    return input;
  }
  const int64_t assumed = length > 0 ? length : config.data.max_length;
  input.lengths = equal_lengths(config, assumed);
  input.assumptions.push_back(fmt::format("every sequence has {} tokens ({}): {} sequences a batch",
                                          assumed, length > 0 ? "--length" : "data.max_length",
                                          input.lengths.size()));
  return input;
}

Plan make_plan(PlanInput input, const Machine& machine, const PlanOptions& options) {
  Plan plan;
  plan.input = std::move(input);
  plan.machine = machine;
  std::map<int64_t, StepPlan> steps;  // by data ranks
  RankPlanner planner(plan.input.config, plan.input.model);
  for (const int64_t ranks : options.ranks) {
    for (int64_t tensor = 1; tensor <= std::min(ranks, plan.input.model.heads); tensor *= 2) {
      if (ranks % tensor != 0) continue;
      const int64_t data = ranks / tensor;
      if (!steps.contains(data)) {
        steps[data] = plan_step(plan.input.config, data, plan.input.lengths);
      }
      for (int64_t zero = 0; zero <= (data > 1 ? 1 : 0); ++zero) {
        const MeshPlan mesh = {.data = data,
                               .tensor = tensor,
                               .parts = parts_of(plan.input.config, tensor),
                               .zero = zero};
        plan.meshes.push_back(plan_mesh(plan.input, machine, mesh, options.memory,
                                        planner.plan(mesh, steps[data], machine.ranks_per_node)));
      }
    }
  }
  for (size_t i = 0; i < plan.meshes.size(); ++i) {
    if (!plan.meshes[i].obstacle.empty()) continue;
    if (!plan.best || plan.meshes[i].time.total() < plan.meshes[*plan.best].time.total()) {
      plan.best = i;
    }
  }
  plan.advice = advice_for(plan);
  return plan;
}

std::vector<int64_t> parse_ranks(const std::string& text) {
  const auto number = [&](std::string_view part) {
    const auto value = parse_integer(part);
    if (value && *value >= 1 && *value <= kMostRanks) return *value;
    throw Error(ExitCode::kInput, fmt::format("--ranks {}: no number of ranks", text),
                "give a number, a list such as 1,2,16 or a range such as 1..64");
  };
  std::vector<int64_t> ranks;
  const size_t dots = text.find("..");
  if (dots != std::string::npos) {
    const int64_t first = number(std::string_view(text).substr(0, dots));
    const int64_t last = number(std::string_view(text).substr(dots + 2));
    ranks = {first, last};
    for (int64_t n = 1; n < last; n *= 2) {
      if (n > first) ranks.push_back(n);
    }
  } else {
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size());
      ranks.push_back(number(std::string_view(text).substr(begin, end - begin)));
      begin = end + 1;
    }
  }
  std::ranges::sort(ranks);
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  return ranks;
}

}  // namespace heddle
