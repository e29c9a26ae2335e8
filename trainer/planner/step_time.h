// How long a step takes on a machine, by what its ranks have to do: floating-point operations and
// bytes over the machine's rates, and sums over ranks by the collectives' costs (Thakur et al.
// 2005, "Optimization of collective communication operations in MPICH").
#pragma once

#include <cstdint>

#include "trainer/planner/machine.h"
#include "trainer/planner/rank_plan.h"

namespace heddle {

struct StepTime {
  double products = 0;  // seconds
  double attention = 0;
  double elements = 0;   // what works row by row
  double tensor = 0;     // sums over tensor groups
  double gradients = 0;  // passes and ranks added up
  double update = 0;     // norm and optimizer

  double total() const { return products + attention + elements + tensor + gradients + update; }
};

// Seconds for all of `ranks` ranks to have the sum of so many bytes, of one rank each. Neighbours
// share a node, `in_node` to a node.
double all_reduce_seconds(const Machine& machine, double bytes, int64_t ranks, int64_t in_node);

// `threads` of a rank; 0: the cores of the node are shared out.
StepTime step_time(const Machine& machine, const RankPlan& plan, const MeshPlan& mesh,
                   int64_t threads = 0);

}  // namespace heddle
