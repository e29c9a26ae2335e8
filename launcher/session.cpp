#include "launcher/session.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <fstream>

#include "framework/comm/collectives.h"
#include "framework/device/allocator.h"
#include "framework/device/cpu_features.h"
#include "launcher/threads.h"

namespace heddle {
namespace {

// Collective unless `asked` says it.
int threads_for(Communicator& world, int asked) {
  if (asked > 0) return asked;
  const cpu_set_t mine = usable_cores();
  if (world.size() == 1) return threads_of_rank(mine, {&mine, 1});
  const std::unique_ptr<Communicator> node = world.split_by_node();
  return threads_of_rank(mine, all_gather(*node, mine, "cores"));
}

}  // namespace

Session::Session(Communicator& world, const CommonOptions& options)
    : world_(world), options_(options) {
  set_threads(threads_for(world, options.threads));
  if (options.device == "cuda") {
    throw Error(ExitCode::kInput, "--device cuda: not yet",
                "this version runs on CPU: leave --device out");
  }
  set_memory_limit(options.memory_limit);
}

void Session::print(const std::string& text) const {
  if (!root()) return;
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
    throw FileError("standard output", "write", errno);
  }
}

void Session::note(const std::string& text) const {
  if (root() && !options_.quiet) fmt::print(stderr, "{}\n", text);
}

void Session::warn(const std::string& text) const {
  if (root()) fmt::print(stderr, "warning: {}\n", text);
}

std::string processor_name() {
  std::string name = "unknown";
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name")) continue;
    name = line.substr(line.find(':') + 2);
    break;
  }
  if (max_isa() == Isa::kAmx) return name;
  return fmt::format("{}, up to {}", name, name_of(max_isa()));
}

}  // namespace heddle
