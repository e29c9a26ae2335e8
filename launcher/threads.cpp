#include "launcher/threads.h"

#include <algorithm>

namespace heddle {

cpu_set_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_SET(0, &set);
  return set;
}

int threads_of_rank(const cpu_set_t& mine, std::span<const cpu_set_t> of_node) {
  double cores = 0;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &mine)) continue;
    const auto sharing = std::ranges::count_if(
        of_node, [&](const cpu_set_t& set) { return CPU_ISSET(core, &set) != 0; });
    cores += 1.0 / static_cast<double>(std::max<int64_t>(1, sharing));
  }
  constexpr double kRounding = 1e-6;  // thirds add up to a little less than they should
  return std::max(1, static_cast<int>(cores + kRounding));
}

}  // namespace heddle
