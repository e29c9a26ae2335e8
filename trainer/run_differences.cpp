#include "trainer/run_differences.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <functional>
#include <map>
#include <vector>

#include "framework/io/checkpoint.h"
#include "trainer/log/jsonl_log.h"
#include "trainer/run_folder.h"

namespace heddle {
namespace {

struct RunLog {
  std::map<int64_t, double> losses;
  std::map<int64_t, Json> parameters;  // hash of each, by name
};

RunLog read_log(FileSystem& files, const std::string& run, std::vector<std::string>& warnings) {
  const std::string path = RunFolder(run).log_file();
  RunLog log;
  for (const LogRecord& record : parse_log(read_file(files, path), path, warnings)) {
    if (const auto* step = std::get_if<StepRecord>(&record)) {
      log.losses[step->step] = step->loss;
    } else if (const auto* event = std::get_if<EventRecord>(&record)) {
      if (event->details.contains("parameters")) {
        log.parameters[event->step] = event->details["parameters"];
      }
    }
  }
  return log;
}

bool same_bits(double a, double b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

std::string parameter_difference(const Json& a, const Json& b) {
  for (const auto& [name, hash] : a.items()) {
    if (!b.contains(name)) return fmt::format("parameter {} is in the first alone", name);
    if (b[name] != hash) return fmt::format("parameter {}", name);
  }
  for (const auto& [name, hash] : b.items()) {
    if (!a.contains(name)) return fmt::format("parameter {} is in the second alone", name);
  }
  return "";
}

// The first tensor, of those whose name is `meant`, in which the two differ; "" if there is none.
std::string tensor_difference(const Checkpoint& first, const Checkpoint& second,
                              const std::function<bool(const std::string&)>& meant) {
  for (const auto& [name, tensor] : first.tensors()) {
    if (!meant(name)) continue;
    if (!second.contains(name)) return fmt::format("{} is in the first alone", name);
    const StoredTensor& other = second.at(name);
    if (tensor.dtype != other.dtype || tensor.shape != other.shape) {
      return fmt::format("{} has another shape", name);
    }
    std::vector<std::byte> x(static_cast<size_t>(volume(tensor.shape) * size_of(tensor.dtype)));
    std::vector<std::byte> y(x.size());
    first.read(name, x);
    second.read(name, y);
    if (x != y) return name;
  }
  for (const auto& [name, tensor] : second.tensors()) {
    if (meant(name) && !first.contains(name)) {
      return fmt::format("{} is in the second alone", name);
    }
  }
  return "";
}

}  // namespace

RunComparison compare_runs(FileSystem& files, const std::string& a, const std::string& b) {
  RunComparison result;
  const RunLog first = read_log(files, a, result.warnings);
  const RunLog second = read_log(files, b, result.warnings);
  // At the same step the parameters, which the loss is made of, come first.
  const auto note = [&](int64_t step, std::string what) {
    if (!result.first || step < result.first->step) result.first = {step, std::move(what)};
  };
  for (const auto& [step, hashes] : first.parameters) {
    const auto there = second.parameters.find(step);
    if (there == second.parameters.end()) continue;
    ++result.hashes;
    const std::string what = parameter_difference(hashes, there->second);
    if (!what.empty()) note(step, what);
  }
  for (const auto& [step, loss] : first.losses) {
    const auto there = second.losses.find(step);
    if (there == second.losses.end()) continue;
    ++result.losses;
    if (!same_bits(loss, there->second)) {
      note(step, fmt::format("loss {:a} and {:a}", loss, there->second));
    }
  }
  if (result.losses + result.hashes == 0) {
    throw Error(ExitCode::kInput, fmt::format("{} and {} have no step in common", a, b));
  }
  return result;
}

RunComparison compare_checkpoints(FileSystem& files, const std::string& a, const std::string& b) {
  const Checkpoint first(files, a);
  const Checkpoint second(files, b);
  RunComparison result;
  result.hashes = 1;
  const auto is_weight = [](const std::string& name) { return name.starts_with("weights/"); };
  const std::string weight = tensor_difference(first, second, is_weight);
  std::vector<std::string> what;
  if (first.step() != second.step()) {
    what.push_back(fmt::format("steps {} and {}", first.step(), second.step()));
  }
  if (!weight.empty()) {
    what.push_back(weight);
  } else {
    // The state of another step is another; of the same step it is compared.
    std::string other;
    if (what.empty()) other = tensor_difference(first, second, std::not_fn(is_weight));
    if (!other.empty()) what.push_back(other);
    if (!what.empty()) what.emplace_back("the weights are equal");
  }
  if (!what.empty()) result.first = {first.step(), fmt::format("{}", fmt::join(what, "; "))};
  return result;
}

}  // namespace heddle
