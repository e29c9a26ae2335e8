#include "trainer/run_differences.h"

#include <fmt/format.h>

#include <cstring>
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

RunLog read_log(FileSystem& files, const std::string& run) {
  const std::string path = RunFolder(run).log_file();
  const std::string text = read_file(files, path);
  RunLog log;
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;  // torn: the run may be writing it
    const LogRecord record = parse_log_line(std::string_view(text).substr(begin, end - begin),
                                            fmt::format("{}:{}", path, ++number));
    begin = end + 1;
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

}  // namespace

RunComparison compare_runs(FileSystem& files, const std::string& a, const std::string& b) {
  const RunLog first = read_log(files, a);
  const RunLog second = read_log(files, b);
  RunComparison result;
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
  const auto differ = [&](std::string what) {
    result.first = {first.step(), std::move(what)};
    return result;
  };
  if (first.step() != second.step()) {
    return differ(fmt::format("steps {} and {}", first.step(), second.step()));
  }
  for (const auto& [name, tensor] : first.tensors()) {
    if (!second.contains(name)) return differ(fmt::format("{} is in the first alone", name));
    const StoredTensor& other = second.at(name);
    if (tensor.dtype != other.dtype || tensor.shape != other.shape) {
      return differ(fmt::format("{} has another shape", name));
    }
    std::vector<std::byte> x(static_cast<size_t>(volume(tensor.shape) * size_of(tensor.dtype)));
    std::vector<std::byte> y(x.size());
    first.read(name, x);
    second.read(name, y);
    if (x != y) return differ(fmt::format("{}", name));
  }
  for (const auto& [name, tensor] : second.tensors()) {
    if (!first.contains(name)) return differ(fmt::format("{} is in the second alone", name));
  }
  return result;
}

}  // namespace heddle
