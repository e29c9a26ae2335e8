#include "trainer/planner/limits.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "framework/comm/collectives.h"
#include "framework/device/allocator.h"
#include "framework/ops/linear.h"
#include "framework/ops/precision_speed.h"
#include "framework/parallel/tree_reduce.h"
#include "trainer/metrics/text_table.h"
#include "trainer/planner/timing.h"

namespace heddle {
namespace {

constexpr int64_t kVersion = 1;
constexpr int kSumRuns = 3;

// The least of some runs, after one that warms up, with the other ranks at the same; mean of ranks.
double mean_seconds(Communicator& world, const std::function<void()>& run) {
  run();
  world.barrier("limits");
  const double least = least_seconds(run, {.least = 3, .most = 200, .seconds = 0.02});
  return all_reduce(world, least, Reduction::kSum, "limits") / world.size();
}

struct Layer {
  const char* name;
  int64_t depth, columns;
};

// Of MiniLM (all-MiniLM-L6-v2) and of BERT-base.
constexpr Layer kLayers[] = {
    {"MiniLM query_key_value", 384, 1152},
    {"MiniLM output", 384, 384},
    {"MiniLM up", 384, 1536},
    {"MiniLM down", 1536, 384},
    {"BERT-base query_key_value", 768, 2304},
    {"BERT-base output", 768, 768},
    {"BERT-base up", 768, 3072},
    {"BERT-base down", 3072, 768},
};

ProductLimit product_limit(Communicator& world, const Device& device, const Layer& layer,
                           int64_t rows, Precision precision) {
  const PackedWeight weight =
      PackedWeight::forward(filled({layer.columns, layer.depth}, 0.01f, Precision::kF32, device),
                            PackedWeight::kManyRows, precision);
  const Tensor x = filled({rows, layer.depth}, 0.5f, precision, device);
  const double seconds = mean_seconds(world, [&] { linear(x, weight, Tensor()); });
  const double flops = 2.0 * static_cast<double>(rows) * static_cast<double>(layer.depth) *
                       static_cast<double>(layer.columns);
  return {layer.name, rows, layer.depth, layer.columns, precision, flops / seconds};
}

// Through two tensors of `bytes` together, one of them read and one written by a copy.
MemoryLimit memory_limit(Communicator& world, const Device& device, std::string name,
                         int64_t bytes) {
  const Cpu on{device.pool()};
  const int64_t threads = on.threads();
  const int64_t words = std::max<int64_t>(8, bytes / 16 / threads / 8 * 8);  // of a thread's half
  const Tensor from = filled({2 * words * threads}, 1, Precision::kF32, device);
  const Tensor to = filled({2 * words * threads}, 1, Precision::kF32, device);
  std::vector<uint64_t> sums(static_cast<size_t>(threads));
  // A small array is gone through often, so that what it costs to begin does not count.
  const int64_t times = std::max<int64_t>(1, (int64_t{16} << 20) / bytes);
  const auto part = [&](const Tensor& all, int64_t thread) {
    return reinterpret_cast<uint64_t*>(all.data<float>()) + thread * words;
  };
  const auto read = [&](const Tensor& all, int64_t thread) {
    const uint64_t* begin = part(all, thread);
    uint64_t lanes[32] = {};
    for (int64_t i = 0; i + 32 <= words; i += 32) {
      for (int lane = 0; lane < 32; ++lane) lanes[lane] += begin[i + lane];
    }
    for (const uint64_t lane : lanes) sums[static_cast<size_t>(thread)] += lane;
  };
  MemoryLimit limit{.name = std::move(name), .bytes = 16 * words * threads};
  const double moved = static_cast<double>(limit.bytes * times);
  limit.read = moved / mean_seconds(world, [&] {
                 on.parallel_for(threads, [&](int64_t thread) {
                   for (int64_t i = 0; i < times; ++i) {
                     read(from, thread);
                     read(to, thread);
                   }
                 });
               });
  limit.copy = moved / mean_seconds(world, [&] {
                 on.parallel_for(threads, [&](int64_t thread) {
                   for (int64_t i = 0; i < times; ++i) {
                     std::memcpy(part(to, thread), part(from, thread),
                                 static_cast<size_t>(words) * sizeof(uint64_t));
                   }
                 });
               });
  return limit;
}

std::vector<SumLimit> sum_limits(Communicator& world, const std::vector<int64_t>& sizes) {
  std::vector<SumLimit> limits;
  if (world.size() == 1) return limits;
  const auto floats = [](int64_t bytes) { return bytes / static_cast<int64_t>(sizeof(float)); };
  TreeReducer reducer(world, floats(std::ranges::max(sizes)), {.canonical = false});
  for (const int64_t bytes : sizes) {
    const std::span<float> values = reducer.buffer().first(static_cast<size_t>(floats(bytes)));
    double least = 1e9;
    for (int i = 0; i <= kSumRuns; ++i) {  // the first one warms up
      world.barrier("limits");
      const double seconds =
          least_seconds([&] { reducer.all_reduce(values, "limits"); }, {.least = 1, .most = 1});
      if (i > 0) least = std::min(least, seconds);
    }
    limits.push_back({bytes, all_reduce(world, least, Reduction::kMax, "limits")});
  }
  return limits;
}

std::string layout(int64_t ranks, int64_t threads) {
  return fmt::format("{} ranks x {} threads", ranks, threads);
}

MachineLimits from_json(const JsonView& json) {
  MachineLimits limits;
  limits.ranks = json["ranks"].integer(1);
  limits.threads = json["threads"].integer(1);
  for (size_t i = 0; i < json["products"].size(); ++i) {
    const JsonView p = json["products"].at(i);
    limits.products.push_back({.name = p["name"].string(),
                               .rows = p["rows"].integer(1),
                               .depth = p["depth"].integer(1),
                               .columns = p["columns"].integer(1),
                               .precision = precision_from_name(p["precision"].string()),
                               .rate = p["flops"].number()});
  }
  for (size_t i = 0; i < json["memory"].size(); ++i) {
    const JsonView m = json["memory"].at(i);
    limits.memory.push_back({.name = m["name"].string(),
                             .bytes = m["bytes"].integer(1),
                             .read = m["read_bytes"].number(),
                             .copy = m["copy_bytes"].number()});
  }
  for (size_t i = 0; i < json["sums"].size(); ++i) {
    const JsonView s = json["sums"].at(i);
    limits.sums.push_back({s["bytes"].integer(1), s["seconds"].number()});
  }
  return limits;
}

// The layouts of a processor in the file; none if there are none of this version.
std::optional<JsonView> layouts_of(const JsonView& cache, const std::string& processor) {
  if (!cache.has("limits")) return {};
  const JsonView limits = cache["limits"];
  if (limits.get_or("version", int64_t{0}) != kVersion || !limits.has(processor)) return {};
  return limits[processor];
}

std::string bytes_text(int64_t bytes) {
  if (bytes >= 1 << 20) return fmt::format("{} MiB", bytes >> 20);
  return fmt::format("{} KiB", bytes >> 10);
}

}  // namespace

double MachineLimits::product_rate(std::string_view precision) const {
  double most = 0;
  for (const ProductLimit& product : products) {
    if (name_of(product.precision) == precision) most = std::max(most, product.rate);
  }
  return most;
}

double MachineLimits::memory_rate() const {
  const auto largest = std::ranges::max_element(memory, {}, &MemoryLimit::bytes);
  return largest == memory.end() ? 0 : largest->copy;
}

MachineLimits measure_limits(Communicator& world, const Device& device,
                             const LimitOptions& options) {
  MachineLimits limits;
  limits.ranks = world.size();
  limits.threads = Cpu{device.pool()}.threads();
  for (const Precision precision : {Precision::kF32, Precision::kBF16, Precision::kInt8}) {
    if (precision != Precision::kF32 && !has_fast_products(precision)) continue;
    for (const Layer& layer : kLayers) {
      for (const int64_t rows : options.rows) {
        limits.products.push_back(product_limit(world, device, layer, rows, precision));
      }
    }
  }
  // Half of it: something else is there as well.
  const int64_t cache = std::max<int64_t>(sysconf(_SC_LEVEL2_CACHE_SIZE), 256 << 10);
  limits.memory.push_back(memory_limit(world, device, "L2 cache", cache / 2 * limits.threads));
  limits.memory.push_back(
      memory_limit(world, device, "memory", options.memory_bytes / limits.ranks));
  limits.sums = sum_limits(world, options.sum_bytes);
  release_kept_memory();
  return limits;
}

Json to_json(const MachineLimits& limits) {
  Json products = Json::array(), memory = Json::array(), sums = Json::array();
  for (const ProductLimit& p : limits.products) {
    products.push_back({{"name", p.name},
                        {"rows", p.rows},
                        {"depth", p.depth},
                        {"columns", p.columns},
                        {"precision", name_of(p.precision)},
                        {"flops", p.rate}});
  }
  for (const MemoryLimit& m : limits.memory) {
    memory.push_back(
        {{"name", m.name}, {"bytes", m.bytes}, {"read_bytes", m.read}, {"copy_bytes", m.copy}});
  }
  for (const SumLimit& s : limits.sums) {
    sums.push_back({{"bytes", s.bytes}, {"seconds", s.seconds}});
  }
  return {{"ranks", limits.ranks},
          {"threads", limits.threads},
          {"products", products},
          {"memory", memory},
          {"sums", sums}};
}

std::string limits_table(const MachineLimits& limits) {
  std::vector<int64_t> rows;
  std::vector<TextTable::Column> columns = {{"product, GFLOP/s", Align::kLeft},
                                            {"depth x columns", Align::kLeft},
                                            {"precision", Align::kLeft}};
  for (const ProductLimit& product : limits.products) {
    if (std::ranges::find(rows, product.rows) != rows.end()) continue;
    rows.push_back(product.rows);
    columns.push_back({fmt::format("{} rows", product.rows), Align::kRight});
  }
  TextTable products(columns);
  for (size_t i = 0; i < limits.products.size(); i += rows.size()) {
    const ProductLimit& first = limits.products[i];
    std::vector<std::string> cells = {first.name,
                                      fmt::format("{} x {}", first.depth, first.columns),
                                      std::string(name_of(first.precision))};
    for (size_t r = 0; r < rows.size(); ++r) {
      cells.push_back(fmt::format("{:.1f}", limits.products[i + r].rate * 1e-9));
    }
    products.add(std::move(cells));
  }
  TextTable memory({{"memory, GB/s", Align::kLeft},
                    {"array", Align::kRight},
                    {"read", Align::kRight},
                    {"copied", Align::kRight}});
  for (const MemoryLimit& m : limits.memory) {
    memory.add({m.name, bytes_text(m.bytes), fmt::format("{:.1f}", m.read * 1e-9),
                fmt::format("{:.1f}", m.copy * 1e-9)});
  }
  std::string text = fmt::format("{} rank{} of {} thread{}, figures of one rank\n\n{}\n{}",
                                 limits.ranks, limits.ranks == 1 ? "" : "s", limits.threads,
                                 limits.threads == 1 ? "" : "s", products.text(), memory.text());
  if (limits.sums.empty()) return text;
  TextTable sums(
      {{"all-reduce", Align::kLeft}, {"milliseconds", Align::kRight}, {"GB/s", Align::kRight}});
  for (const SumLimit& sum : limits.sums) {
    sums.add({bytes_text(sum.bytes), fmt::format("{:.3f}", sum.seconds * 1e3),
              fmt::format("{:.2f}", static_cast<double>(sum.bytes) / sum.seconds * 1e-9)});
  }
  return text + "\n" + sums.text();
}

void keep_limits(FileSystem& files, const std::string& cache_file, const std::string& processor,
                 const MachineLimits& limits) {
  Json cache = Json::object();
  try {
    if (files.exists(cache_file)) cache = read_json(files, cache_file);
  } catch (const Error&) {
    cache = Json::object();  // a damaged file is written anew
  }
  if (!cache.is_object()) cache = Json::object();
  Json& kept = cache["limits"];
  if (!kept.is_object() || kept.value("version", Json()) != Json(kVersion)) {
    kept = {{"version", kVersion}};
  }
  kept[processor][layout(limits.ranks, limits.threads)] = to_json(limits);
  make_directories(files, parent_path(cache_file));
  write_file_atomically(files, cache_file, dump_json(cache, 2) + "\n");
}

std::optional<MachineLimits> kept_limits(FileSystem& files, const std::string& cache_file,
                                         const std::string& processor, int64_t ranks,
                                         int64_t threads) {
  try {
    if (cache_file.empty() || !files.exists(cache_file)) return {};
    const Json cache = read_json(files, cache_file);
    const auto layouts = layouts_of(JsonView(cache, cache_file), processor);
    const std::string key = layout(ranks, threads);
    if (!layouts || !layouts->has(key)) return {};
    return from_json((*layouts)[key]);
  } catch (const std::exception&) {
    return {};
  }
}

std::optional<MachineLimits> kept_sum_limits(const JsonView& cache, const std::string& processor) {
  std::optional<MachineLimits> most;
  try {
    const auto layouts = layouts_of(cache, processor);
    if (!layouts) return {};
    for (const std::string& key : layouts->keys()) {
      MachineLimits limits = from_json((*layouts)[key]);
      if (limits.sums.size() < 2 || (most && most->ranks >= limits.ranks)) continue;
      most = std::move(limits);
    }
  } catch (const std::exception&) {
    return {};
  }
  return most;
}

}  // namespace heddle
