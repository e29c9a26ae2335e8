// How many threads a rank gets when nobody says: its part of the cores that it may run on.
#pragma once

#include <sched.h>

#include <span>

namespace heddle {

// The cores that this process may run on.
cpu_set_t usable_cores();

// `of_node` holds the cores of each rank on the node, `mine` among them. A core that several ranks
// may use counts as that much less for each: ranks that mpirun binds nowhere share the node's cores
// evenly, ranks that srun has bound to cores of their own have all of them. At least 1.
int threads_of_rank(const cpu_set_t& mine, std::span<const cpu_set_t> of_node);

}  // namespace heddle
