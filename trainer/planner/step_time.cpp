#include "trainer/planner/step_time.h"

#include <algorithm>
#include <cmath>

namespace heddle {
namespace {

constexpr double kMicro = 1e-6;
constexpr double kGiga = 1e9;

double log2_up(int64_t ranks) {
  return std::ceil(std::log2(static_cast<double>(ranks)));
}

// A sum over `ranks` ranks that are alike, by one kind of link.
double sum_seconds(const LinkConfig& link, double bytes, int64_t ranks) {
  if (ranks <= 1) return 0;
  const auto r = static_cast<double>(ranks);
  const double moved = 2 * bytes * (r - 1) / r;
  double steps = 2 * log2_up(ranks);
  if (link.collective == "ring") steps = 2 * (r - 1);
  // Two barriers; a slice of every rank's is read, and the sum written to all.
  if (link.collective == "shared_memory") steps = 2;
  return steps * link.latency_us * kMicro + moved / (link.gb_per_s * kGiga);
}

}  // namespace

double all_reduce_seconds(const Machine& machine, double bytes, int64_t ranks, int64_t in_node) {
  if (ranks <= 1) return 0;
  const int64_t here = std::clamp<int64_t>(in_node, 1, ranks);
  const int64_t nodes = (ranks + here - 1) / here;
  // Within the node first; across nodes each rank adds the slice that is its own.
  return sum_seconds(machine.in_node, bytes, here) +
         sum_seconds(machine.network, bytes / static_cast<double>(here), nodes);
}

StepTime step_time(const Machine& machine, const RankPlan& plan, const MeshPlan& mesh,
                   int64_t threads) {
  const int64_t on_node = std::min(mesh.ranks(), machine.ranks_per_node);
  // Cores of a rank for what computes, and for what memory bounds.
  double cores = 1;
  double streams = 1;
  if (machine.cores > 0) {
    const auto all = static_cast<double>(machine.cores);
    const auto ranks = static_cast<double>(on_node);
    // Cores at work: a rank has one at least, as far as there are so many.
    const double each =
        threads > 0 ? static_cast<double>(threads) : std::max(1.0, std::floor(all / ranks));
    const double busy = std::min(all, each * ranks);
    const auto together = [&](double scaling) {
      return all > 1 ? 1 + (busy - 1) / (all - 1) * (scaling - 1) : 1;
    };
    cores = together(machine.product_scaling > 0 ? machine.product_scaling : all) / ranks;
    streams = together(machine.memory_scaling) / ranks;
  }
  const double float_bytes = 4;
  const auto trained = static_cast<double>(plan.trained);
  const auto sparse = static_cast<double>(plan.tokens * plan.sparse_width);

  StepTime time;
  time.products = plan.work.product_flops / (machine.product_rate * cores) +
                  plan.work.weights / (machine.weight_rate * streams);
  time.attention = plan.work.attention_flops / (machine.attention_rate * cores);
  // Rows of the vocabulary are gathered, sorted and merged.
  time.elements =
      (plan.work.element_bytes + 3 * sparse * float_bytes) / (machine.element_rate * streams);
  time.tensor =
      static_cast<double>(plan.work.sums) *
      all_reduce_seconds(
          machine,
          plan.work.sums > 0 ? plan.work.sum_bytes / static_cast<double>(plan.work.sums) : 0,
          mesh.tensor, machine.ranks_per_node);
  const int64_t data_in_node = std::max<int64_t>(1, machine.ranks_per_node / mesh.tensor);
  const double rows = std::min(static_cast<double>(plan.tokens) * static_cast<double>(mesh.data),
                               4.0 * static_cast<double>(plan.tokens));
  time.gradients =
      all_reduce_seconds(machine, trained * float_bytes, mesh.data, data_in_node) +
      (mesh.data > 1 ? all_reduce_seconds(
                           machine, rows * static_cast<double>(plan.sparse_width) * float_bytes,
                           mesh.data, data_in_node)
                     : 0);
  if (plan.passes > 1) {
    // Copied into the tree and added: five times a block is read or written.
    time.gradients += static_cast<double>(plan.passes) * 5 * trained * float_bytes /
                      (machine.stream_rate * streams);
  }
  const double norm = trained / static_cast<double>(mesh.data);
  time.update = norm / (machine.norm_rate * streams) +
                static_cast<double>(plan.stepped) / (machine.update_rate * streams);
  // Under ZeRO-1 the updated weights are gathered: half of a sum.
  if (mesh.zero > 0) {
    time.update += all_reduce_seconds(machine, static_cast<double>(plan.parameters) * float_bytes,
                                      mesh.data, data_in_node) /
                   2;
  }
  return time;
}

}  // namespace heddle
