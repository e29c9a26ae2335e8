#include "launcher/session.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace heddle {
namespace {

int usable_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return CPU_COUNT(&set);
}

int threads_for(const Launch& launch, int ranks, int asked) {
  if (asked > 0) return asked;
  const int sharing = launch.node_ranks > 0 ? launch.node_ranks : ranks;
  return std::max(1, usable_cores() / std::max(1, sharing));
}

}  // namespace

Session::Session(const MpiEnvironment& environment, Communicator& world,
                 const CommonOptions& options)
    : world_(world),
      options_(options),
      pool_(threads_for(environment.launch(), world.size(), options.threads)) {
  if (options.device == "cuda") {
    throw Error(ExitCode::kInput, "--device cuda: not yet",
                "this version runs on CPU: leave --device out");
  }
}

void Session::print(const std::string& text) const {
  if (!root()) return;
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

void Session::note(const std::string& text) const {
  if (root() && !options_.quiet) fmt::print(stderr, "{}\n", text);
}

void Session::warn(const std::string& text) const {
  if (root()) fmt::print(stderr, "warning: {}\n", text);
}

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

}  // namespace heddle
