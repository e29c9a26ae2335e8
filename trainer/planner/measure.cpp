#include "trainer/planner/measure.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "framework/autograd/record.h"
#include "framework/device/allocator.h"
#include "framework/io/json.h"
#include "framework/nn/arena.h"
#include "framework/ops/attention.h"
#include "framework/ops/layer_norm.h"
#include "framework/optim/adamw.h"
#include "framework/parallel/tree.h"
#include "models/layers/feed_forward.h"
#include "trainer/planner/limits.h"

namespace heddle {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRepetitions = 5;
constexpr int64_t kMostRows = 512;
constexpr int64_t kMostWidth = 1024;
constexpr int64_t kElements = int64_t{4} << 20;  // beyond any cache of one core

// The least of some runs, in seconds, after one that warms up: others may be at work meanwhile.
double least_seconds(const std::function<void()>& run) {
  run();
  double least = 1e9;
  for (int i = 0; i < kRepetitions; ++i) {
    const auto begun = Clock::now();
    run();
    least = std::min(least, std::chrono::duration<double>(Clock::now() - begun).count());
  }
  return std::max(least, 1e-9);
}

Tensor filled(const Shape& shape, float value, const Device& device = Device::cpu()) {
  const Tensor t = Tensor::empty(shape, DType::kF32, device);
  t.fill(value);
  return t;
}

void train_all(const ParameterArena& arena) {
  for (const ParameterArena::Entry& entry : arena.entries()) {
    entry.parameter->value = variable(entry.parameter->value);
  }
}

// Up and down of the feed-forward network, forward and backward.
double product_rate(const MeasuredShape& s, ThreadPool* pool) {
  ClassifierConfig config;
  config.hidden_size = s.hidden;
  config.intermediate_size = s.intermediate;
  FeedForward layer(config, {});
  const Device device = Device::cpu(pool);
  const ParameterArena arena(layer, device);
  initialize(arena, 1);
  train_all(arena);
  const Tensor x = variable(filled({s.rows, s.hidden}, 0.5f, device));
  const Tensor dy = filled({s.rows, s.hidden}, 0.1f, device);
  const double seconds = least_seconds([&] {
    for (const ParameterArena::Entry& entry : arena.entries()) {
      variable_state(entry.parameter->value).gradient = {};
    }
    variable_state(x).gradient = {};
    backward(layer(x), dy);
  });
  return 12.0 * static_cast<double>(s.rows) * static_cast<double>(s.hidden) *
         static_cast<double>(s.intermediate) / seconds;
}

Dropout dropout_of(const MeasuredShape& s, const Tensor& keys) {
  if (!s.dropout) return {};
  return {.p = 0.1f, .seed = 1, .step = 1, .layer = 1, .row_keys = keys};
}

double attention_rate(const MeasuredShape& s) {
  const int64_t sequences = std::max<int64_t>(1, s.rows / s.length);
  const int64_t rows = sequences * s.length;
  std::vector<int32_t> offsets;
  for (int64_t i = 0; i <= sequences; ++i) offsets.push_back(static_cast<int32_t>(i * s.length));
  const Segments segments = Segments::from(offsets, Device::cpu());
  const Tensor keys = Tensor::zeros({rows}, DType::kI64);
  const Tensor qkv = variable(filled({rows, 3 * s.hidden}, 0.1f));
  const Tensor dy = filled({rows, s.hidden}, 0.1f);
  const AttentionOptions options{
      .heads = static_cast<int>(s.heads), .scale = 0.125f, .dropout = dropout_of(s, keys)};
  const double seconds = least_seconds([&] {
    variable_state(qkv).gradient = {};
    backward(attention(qkv, segments, options), dy);
  });
  return 14.0 * static_cast<double>(rows) * static_cast<double>(s.length) *
         static_cast<double>(s.hidden) / seconds;
}

// Dropout, residual and norm, forward and backward: four tensors are written with dropout, else
// three.
double element_rate(const MeasuredShape& s) {
  const Tensor keys = Tensor::zeros({s.rows}, DType::kI64);
  const Tensor x = variable(filled({s.rows, s.hidden}, 0.5f));
  const Tensor residual = variable(filled({s.rows, s.hidden}, 0.25f));
  const Tensor gamma = variable(filled({s.hidden}, 1));
  const Tensor beta = variable(filled({s.hidden}, 0));
  const Tensor dy = filled({s.rows, s.hidden}, 0.1f);
  const double seconds = least_seconds([&] {
    for (const Tensor& t : {x, residual, gamma, beta}) variable_state(t).gradient = {};
    backward(dropout_add_layer_norm(x, residual, {gamma, beta, 1e-12f}, dropout_of(s, keys)), dy);
  });
  return static_cast<double>(x.bytes()) * (s.dropout ? 4 : 3) / seconds;
}

double update_rate(ThreadPool* pool) {
  std::vector<float> w(kElements, 1), g(kElements, 1e-3f), m(kElements), v(kElements);
  int64_t step = 0;
  const double seconds =
      least_seconds([&] { kernels::adamw_update(Cpu{pool}, w, g, m, v, {.step = ++step}); });
  return static_cast<double>(kElements) / seconds;
}

double sum_seconds() {
  std::vector<float> a(kElements, 1), b(kElements, 0);
  const std::vector<float*> parts = {a.data(), b.data()};
  return least_seconds([&] { tree_sum_to_all(parts, static_cast<size_t>(kElements)); });
}

Json to_json(const Machine& m) {
  return {{"product_flops", m.product_rate},    {"attention_flops", m.attention_rate},
          {"element_bytes", m.element_rate},    {"updates", m.update_rate},
          {"stream_bytes", m.stream_rate},      {"product_scaling", m.product_scaling},
          {"memory_scaling", m.memory_scaling}, {"sum_gb", m.in_node.gb_per_s}};
}

// What the system says, without the rates.
Machine plain_machine() {
  Machine m;
  m.measured = true;
  m.cores = std::max<int64_t>(1, static_cast<int64_t>(std::thread::hardware_concurrency()));
  m.ranks_per_node = int64_t{1} << 20;
  m.node_memory = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  m.in_node = {.gb_per_s = 1, .latency_us = 5, .collective = "shared_memory"};
  m.network = m.in_node;
  return m;
}

// As step_time counts a sum in shared memory: two barriers, and a slice of every rank's is read.
LinkConfig link_of(const MachineLimits& limits) {
  LinkConfig link{.collective = "shared_memory"};
  const double barrier = limits.sums.front().seconds / 2;
  link.latency_us = barrier * 1e6;
  const auto ranks = static_cast<double>(limits.ranks);
  const SumLimit& large = limits.sums.back();
  link.gb_per_s = 2 * static_cast<double>(large.bytes) * (ranks - 1) / ranks /
                  std::max(large.seconds - 2 * barrier, 1e-9) / 1e9;
  return link;
}

std::optional<Machine> from_json(const JsonView& json) {
  Machine m = plain_machine();
  const auto rate = [&](const char* key) { return json.get_or(key, 0.0); };
  m.product_rate = rate("product_flops");
  m.attention_rate = rate("attention_flops");
  m.element_rate = rate("element_bytes");
  m.update_rate = rate("updates");
  m.stream_rate = rate("stream_bytes");
  m.product_scaling = rate("product_scaling");
  m.memory_scaling = rate("memory_scaling");
  m.in_node.gb_per_s = rate("sum_gb");
  for (const double value :
       {m.product_rate, m.attention_rate, m.element_rate, m.update_rate, m.stream_rate,
        m.product_scaling, m.memory_scaling, m.in_node.gb_per_s}) {
    if (!(value > 0)) return std::nullopt;
  }
  return m;
}

}  // namespace

std::string MeasuredShape::text() const {
  return fmt::format("hidden {} intermediate {} heads {} rows {} length {}{}", hidden, intermediate,
                     heads, rows, length, dropout ? " dropout" : "");
}

MeasuredShape shape_of(const ClassifierConfig& model, const StepPlan& step, int64_t tensor) {
  MeasuredShape shape;
  // Whole heads, in the model's proportions.
  const int64_t head = std::max<int64_t>(1, model.hidden_size / std::max<int64_t>(1, model.heads));
  shape.heads = std::clamp<int64_t>(kMostWidth / head, 1, model.heads);
  shape.hidden = shape.heads * head;
  shape.intermediate = std::clamp<int64_t>(
      model.intermediate_size * shape.hidden / model.hidden_size / tensor, 1, 4 * kMostWidth);
  int64_t tokens = 0, sequences = 0;
  for (const StepPlan::Pass& pass : step.passes) {
    tokens = std::max(tokens, pass.tokens());
    sequences += static_cast<int64_t>(pass.lengths.size());
  }
  // The mean length, since passes hold short and long.
  const int64_t mean = sequences > 0 ? step.tokens() / sequences : 1;
  shape.length = std::clamp<int64_t>(mean, 1, kMostRows);
  shape.rows = std::clamp<int64_t>(tokens, 1, kMostRows);
  shape.dropout = model.hidden_dropout > 0;
  return shape;
}

Machine measure_machine(const MeasuredShape& shape) {
  Machine m = plain_machine();
  m.product_rate = product_rate(shape, nullptr);
  m.attention_rate = attention_rate(shape);
  m.element_rate = element_rate(shape);
  m.update_rate = update_rate(nullptr);
  m.product_scaling = 1;
  if (m.cores > 1) {
    ThreadPool pool(static_cast<int>(m.cores));
    m.product_scaling =
        std::clamp(product_rate(shape, &pool) / m.product_rate, 1.0, static_cast<double>(m.cores));
    m.memory_scaling =
        std::clamp(update_rate(&pool) / m.update_rate, 1.0, static_cast<double>(m.cores));
  }
  // Two arrays are read and written.
  const double seconds = sum_seconds();
  m.stream_rate = 4.0 * sizeof(float) * static_cast<double>(kElements) / seconds;
  // Of two ranks each makes half of the sum, at the pace that memory leaves to each.
  const double share = m.memory_scaling / static_cast<double>(m.cores);
  m.in_node.gb_per_s = sizeof(float) * static_cast<double>(kElements) / (seconds / 2) * share / 1e9;
  release_kept_memory();
  return m;
}

Machine this_machine(FileSystem& files, const std::string& cache_file, const std::string& processor,
                     const MeasuredShape& shape) {
  const std::string key =
      fmt::format("{}, {} cores, {}", processor, plain_machine().cores, shape.text());
  std::optional<LinkConfig> in_node;
  const auto named = [&](Machine machine) {
    machine.name = processor;
    if (in_node) machine.in_node = *in_node;
    return machine;
  };
  Json known = Json::object();
  try {
    if (!cache_file.empty() && files.exists(cache_file)) {
      known = read_json(files, cache_file);
      const JsonView view(known, cache_file);
      if (const auto limits = kept_sum_limits(view, processor)) in_node = link_of(*limits);
      if (view.has(key)) {
        if (auto machine = from_json(view[key])) return named(*std::move(machine));
      }
    }
  } catch (const Error&) {
    known = Json::object();  // a damaged file is written anew
  }
  const Machine machine = named(measure_machine(shape));
  if (cache_file.empty()) return machine;
  known[key] = to_json(machine);
  try {
    make_directories(files, parent_path(cache_file));
    write_file_atomically(files, cache_file, dump_json(known, 2) + "\n");
  } catch (const Error&) {
    return machine;  // measured again the next time
  }
  return machine;
}

std::string default_cache_file() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return std::string(cache) + "/heddle/machine.json";
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home != '\0') return std::string(home) + "/.cache/heddle/machine.json";
  return "";
}

}  // namespace heddle
