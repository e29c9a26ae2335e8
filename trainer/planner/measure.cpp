#include "trainer/planner/measure.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "framework/autograd/leaves.h"
#include "framework/autograd/record.h"
#include "framework/device/allocator.h"
#include "framework/io/json.h"
#include "framework/nn/arena.h"
#include "framework/ops/attention.h"
#include "framework/ops/layer_norm.h"
#include "framework/optim/adamw.h"
#include "framework/optim/sum_of_squares.h"
#include "framework/parallel/tree.h"
#include "models/layers/feed_forward.h"
#include "trainer/planner/limits.h"
#include "trainer/planner/timing.h"

namespace heddle {
namespace {

constexpr int64_t kMostRows = 1024;
// A quarter of the rows shows what a product costs besides.
constexpr int64_t kFewer = 4;
constexpr int64_t kMostLength = 512;
constexpr int64_t kMostWidth = 1024;
constexpr int64_t kElements = int64_t{16} << 20;  // beyond any cache of one core
// Beyond what a core's caches keep from forward to backward, in so many copies at most.
constexpr int64_t kColdBytes = int64_t{32} << 20;
constexpr int64_t kMostCopies = 8;

double warm_seconds(const std::function<void()>& run) {
  run();
  return least_seconds(run);
}

void train_all(const ParameterArena& arena) {
  for (const ParameterArena::Entry& entry : arena.entries()) {
    entry.parameter->value = variable(entry.parameter->value);
  }
}

// Copies of what takes `bytes` that are worked on together, as layers of a model are.
int64_t cold_copies(int64_t bytes) {
  return std::clamp<int64_t>(kColdBytes / std::max<int64_t>(1, bytes), 1, kMostCopies);
}

// Feed-forward networks, one after another.
struct Stack : Module {
  std::vector<FeedForward> layers;
  void visit(Visitor& v) override { v("layers", layers); }
};

struct ProductSeconds {
  double flops;    // of all products
  double weights;  // elements of their weights
  double seconds;
};

// Up and down of feed-forward networks on so many rows, forward and backward.
ProductSeconds time_products(const MeasuredShape& s, int64_t rows, ThreadPool* pool) {
  ClassifierConfig config;
  config.hidden_size = s.hidden;
  config.intermediate_size = s.intermediate;
  const int64_t matrix = s.hidden * s.intermediate;
  Stack stack;
  // Weights and gradients of two matrices.
  const int64_t copies = cold_copies(2 * 2 * matrix * int64_t{sizeof(float)});
  for (int64_t i = 0; i < copies; ++i) stack.layers.emplace_back(config, Group());
  const Device device = Device::cpu(pool);
  const ParameterArena arena(stack, device);
  initialize(arena, 1);
  train_all(arena);
  LeafOffsets offsets;
  for (int64_t leaf = 0; leaf <= s.leaves; ++leaf) offsets.push_back(rows * leaf / s.leaves);
  const LeafScope leaves({offsets});
  const Tensor x = variable(filled({rows, s.hidden}, 0.5f, s.precision, device));
  const Tensor dy = filled({rows, s.hidden}, 0.1f, s.precision, device);
  const double seconds = warm_seconds([&] {
    for (const ParameterArena::Entry& entry : arena.entries()) {
      variable_state(entry.parameter->value).gradient = {};
    }
    variable_state(x).gradient = {};
    Tensor y = x;
    for (const FeedForward& layer : stack.layers) y = layer(y);
    backward(y, dy);
  });
  const double weights = 6.0 * static_cast<double>(copies) * static_cast<double>(matrix);
  return {2 * static_cast<double>(rows) * weights, weights, seconds};
}

Dropout dropout_of(const MeasuredShape& s, const Tensor& keys) {
  if (!s.dropout) return {};
  return {.p = 0.1f, .seed = 1, .step = 1, .layer = 1, .row_keys = keys};
}

// Rates of rows and of weights: a product takes flops / product_rate + weights / weight_rate.
void set_product_rates(const MeasuredShape& s, Machine& m) {
  const ProductSeconds many = time_products(s, s.rows, nullptr);
  const ProductSeconds few = time_products(s, s.rows / kFewer, nullptr);
  const double slope = (many.seconds - few.seconds) / (many.flops - few.flops);
  // Neither part takes less than nothing.
  const double per_flop =
      std::clamp(slope, 0.5 * many.seconds / many.flops, many.seconds / many.flops);
  m.product_rate = 1 / per_flop;
  m.weight_rate = many.weights / std::max(many.seconds - many.flops * per_flop, 1e-9);
  m.product_scaling = 1;
  if (m.cores == 1) return;
  ThreadPool pool(static_cast<int>(m.cores));
  m.product_scaling = std::clamp(many.seconds / time_products(s, s.rows, &pool).seconds, 1.0,
                                 static_cast<double>(m.cores));
}

// Of all inputs, forward and then backward.
double forward_backward_seconds(const std::vector<Tensor>& inputs, const Tensor& dy,
                                const std::function<Tensor(const Tensor&)>& op) {
  return warm_seconds([&] {
    std::vector<Tensor> outputs;
    for (const Tensor& x : inputs) {
      variable_state(x).gradient = {};
      outputs.push_back(op(x));
    }
    for (; !outputs.empty(); outputs.pop_back()) backward(outputs.back(), dy);
  });
}

double attention_rate(const MeasuredShape& s) {
  const int64_t sequences = std::max<int64_t>(1, s.rows / s.length);
  const int64_t rows = sequences * s.length;
  std::vector<int32_t> offsets;
  for (int64_t i = 0; i <= sequences; ++i) offsets.push_back(static_cast<int32_t>(i * s.length));
  const Segments segments = Segments::from(offsets, Device::cpu());
  const Tensor keys = Tensor::zeros({rows}, DType::kI64);
  const Tensor dy = filled({rows, s.hidden}, 0.1f, s.precision);
  std::vector<Tensor> inputs;
  for (int64_t i = cold_copies(7 * dy.bytes()); i > 0; --i) {
    inputs.push_back(variable(filled({rows, 3 * s.hidden}, 0.1f, s.precision)));
  }
  const AttentionOptions options{
      .heads = static_cast<int>(s.heads), .scale = 0.125f, .dropout = dropout_of(s, keys)};
  const double seconds = forward_backward_seconds(
      inputs, dy, [&](const Tensor& qkv) { return attention(qkv, segments, options); });
  return 14.0 * static_cast<double>(inputs.size()) * static_cast<double>(rows) *
         static_cast<double>(s.length) * static_cast<double>(s.hidden) / seconds;
}

// Dropout, residual and norm, forward and backward: four tensors are written with dropout, else
// three.
double element_rate(const MeasuredShape& s) {
  const Tensor keys = Tensor::zeros({s.rows}, DType::kI64);
  const Tensor dy = filled({s.rows, s.hidden}, 0.1f, s.precision);
  std::vector<Tensor> inputs, residuals;
  for (int64_t i = cold_copies(6 * dy.bytes()); i > 0; --i) {
    inputs.push_back(variable(filled(dy.shape(), 0.5f, s.precision)));
    residuals.push_back(variable(filled(dy.shape(), 0.25f, s.precision)));
  }
  const Tensor gamma = variable(filled({s.hidden}, 1));
  const Tensor beta = variable(filled({s.hidden}, 0));
  const auto sums = static_cast<double>(inputs.size());
  size_t next = 0;
  const double seconds = forward_backward_seconds(inputs, dy, [&](const Tensor& x) {
    const Tensor& residual = residuals[next++ % residuals.size()];
    for (const Tensor& t : {residual, gamma, beta}) variable_state(t).gradient = {};
    return dropout_add_layer_norm(x, residual, {gamma, beta, 1e-12f}, dropout_of(s, keys));
  });
  return sums * static_cast<double>(dy.bytes()) * (s.dropout ? 4 : 3) / seconds;
}

double update_rate(ThreadPool* pool) {
  std::vector<float> w(kElements, 1), g(kElements, 1e-3f), m(kElements), v(kElements);
  int64_t step = 0;
  const double seconds =
      warm_seconds([&] { kernels::adamw_update(Cpu{pool}, w, g, m, v, {.step = ++step}); });
  return static_cast<double>(kElements) / seconds;
}

double norm_rate() {
  const std::vector<float> g(kElements, 1e-3f);
  const double seconds = warm_seconds([&] { (void)kernels::sum_of_squares(Cpu{}, g, 0); });
  return static_cast<double>(kElements) / seconds;
}

double sum_seconds() {
  std::vector<float> a(kElements, 1), b(kElements, 0);
  const std::vector<float*> parts = {a.data(), b.data()};
  return warm_seconds([&] { tree_sum_to_all(parts, static_cast<size_t>(kElements)); });
}

Json to_json(const Machine& m) {
  return {{"product_flops", m.product_rate},
          {"product_weights", m.weight_rate},
          {"attention_flops", m.attention_rate},
          {"element_bytes", m.element_rate},
          {"squares", m.norm_rate},
          {"updates", m.update_rate},
          {"stream_bytes", m.stream_rate},
          {"product_scaling", m.product_scaling},
          {"memory_scaling", m.memory_scaling},
          {"sum_gb", m.in_node.gb_per_s}};
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
  m.weight_rate = rate("product_weights");
  m.attention_rate = rate("attention_flops");
  m.element_rate = rate("element_bytes");
  m.norm_rate = rate("squares");
  m.update_rate = rate("updates");
  m.stream_rate = rate("stream_bytes");
  m.product_scaling = rate("product_scaling");
  m.memory_scaling = rate("memory_scaling");
  m.in_node.gb_per_s = rate("sum_gb");
  for (const double value :
       {m.product_rate, m.norm_rate, m.weight_rate, m.attention_rate, m.element_rate, m.update_rate,
        m.stream_rate, m.product_scaling, m.memory_scaling, m.in_node.gb_per_s}) {
    if (!(value > 0)) return std::nullopt;
  }
  return m;
}

}  // namespace

std::string MeasuredShape::text() const {
  return fmt::format("{} hidden {} intermediate {} heads {} rows {} leaves {} length {}{}",
                     name_of(precision), hidden, intermediate, heads, rows, leaves, length,
                     dropout ? " dropout" : "");
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
    shape.leaves = std::max(shape.leaves, static_cast<int64_t>(pass.leaves.size()) - 1);
    sequences += static_cast<int64_t>(pass.lengths.size());
  }
  // The mean length, since passes hold short and long.
  const int64_t mean = sequences > 0 ? step.tokens() / sequences : 1;
  shape.length = std::clamp<int64_t>(mean, 1, kMostLength);
  shape.rows = std::clamp<int64_t>(tokens, kFewer, kMostRows);
  shape.dropout = model.hidden_dropout > 0;
  shape.precision = model.precision;
  return shape;
}

Machine measure_machine(const MeasuredShape& shape) {
  Machine m = plain_machine();
  set_product_rates(shape, m);
  m.attention_rate = attention_rate(shape);
  m.element_rate = element_rate(shape);
  m.norm_rate = norm_rate();
  m.update_rate = update_rate(nullptr);
  if (m.cores > 1) {
    ThreadPool pool(static_cast<int>(m.cores));
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
  const Machine measured = measure_machine(shape);
  if (cache_file.empty()) return named(measured);
  known[key] = to_json(measured);
  try {
    make_directories(files, parent_path(cache_file));
    write_file_atomically(files, cache_file, dump_json(known, 2) + "\n");
  } catch (const Error&) {
    // Measured again the next time.
  }
  return named(measured);
}

std::string default_cache_file() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return std::string(cache) + "/heddle/machine.json";
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home != '\0') return std::string(home) + "/.cache/heddle/machine.json";
  return "";
}

}  // namespace heddle
