#include "trainer/step_verifier.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string>

#include "framework/comm/collectives.h"
#include "framework/comm/single.h"
#include "framework/io/hash.h"
#include "trainer/batching.h"

namespace heddle {
namespace {

// Of the largest value of a tensor, where the order of sums is another.
constexpr float kTolerance = 1e-3f;

std::string module_of(const std::string& parameter) {
  return parameter.substr(0, parameter.rfind('.'));
}

// What is not trained in one is not in the other.
Module& train_as(const ParameterArena& arena, Module& whole) {
  std::map<std::string, bool> trainable;
  for (const ParameterArena::Entry& entry : arena.entries()) {
    trainable[entry.name] = entry.parameter->trainable;
  }
  for (const auto& [name, parameter] : named_parameters(whole)) {
    parameter->trainable = trainable.at(name);
  }
  return whole;
}

[[noreturn]] void fail(int64_t step, const std::string& what) {
  throw Error(
      ExitCode::kInternal,
      fmt::format("verify: step {}: {} differs from the same step on one rank", step + 1, what),
      "a collective of this module or of the one that comes after it is wrong; the weights "
      "were not updated");
}

}  // namespace

StepVerifier::StepVerifier(const TrainingModel& model, const GradientArena& gradients,
                           const Mesh& mesh, const VerifierOptions& options)
    : model_(model),
      gradients_(gradients),
      mesh_(mesh),
      options_(options),
      alone_(make_single()),
      whole_(model.config, Group(1, 0, options.parts)),
      arena_(train_as(*model.arena, whole_), model.arena->device()),
      whole_gradients_(arena_, *alone_, options.exact) {}

void StepVerifier::copy_weights() {
  const auto& mine = model_.arena->entries();
  model_.arena->apply_pending();
  size_t to = 0;
  for (size_t begin = 0, end = 0; begin < mine.size(); begin = end) {
    while (end < mine.size() && mine[end].name == mine[begin].name) ++end;
    std::vector<float> values;
    for (size_t i = begin; i < end; ++i) {
      const auto part = mine[i].parameter->value.span<const float>();
      values.insert(values.end(), part.begin(), part.end());
    }
    const Parameter& first = *mine[begin].parameter;
    const bool is_whole = first.shape() == first.whole_shape();
    std::vector<Bytes> of_ranks =
        mesh_.tensor().all_gather_v(std::as_bytes(std::span(values)), "weights to verify");
    if (is_whole) of_ranks.resize(1);
    // Ranks hold consecutive parts, each in the order of the visit.
    Bytes all;
    for (const Bytes& bytes : of_ranks) all.insert(all.end(), bytes.begin(), bytes.end());
    const std::byte* from = all.data();
    for (; to < arena_.entries().size() && arena_.entries()[to].name == mine[begin].name; ++to) {
      const std::span<float> values_of_part = arena_.entries()[to].parameter->value.span<float>();
      std::memcpy(values_of_part.data(), from, values_of_part.size_bytes());
      from += values_of_part.size_bytes();
    }
  }
}

bool StepVerifier::differ(std::span<const float> sharded, std::span<const float> whole) const {
  if (sharded.size() != whole.size()) return true;
  if (options_.exact) {
    return !whole.empty() && std::memcmp(sharded.data(), whole.data(), whole.size_bytes()) != 0;
  }
  float largest = 0, difference = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    largest = std::max(largest, std::abs(whole[i]));
    difference = std::max(difference, std::abs(whole[i] - sharded[i]));
  }
  return !(difference <= kTolerance * largest + std::numeric_limits<float>::min());
}

void StepVerifier::check(const Step& step) {
  copy_weights();
  LeafPlanOptions leaves = step.leaves;
  leaves.rank = 0;
  leaves.ranks = 1;
  BatchGradients reference(whole_, *model_.task, whole_gradients_, *alone_);
  const double loss = reference.run(step.data, step.samples, leaves, step.noise).loss;
  const auto sharded = static_cast<float>(step.loss), whole = static_cast<float>(loss);
  const bool other_loss = options_.exact ? loss != step.loss : differ({&sharded, 1}, {&whole, 1});
  int64_t any = other_loss;
  mesh_.world().all_reduce(std::span(&any, 1), Reduction::kMax, "verify loss");
  if (any) check_activations(step);

  // Entries are in the order of backward.
  const auto& entries = gradients_.entries();
  const auto other = std::ranges::find_if_not(
      entries, [&](const GradientArena::Entry& entry) { return same_gradient(entry); });
  const auto none = static_cast<int64_t>(entries.size());  // the same on all ranks
  int64_t first = other - entries.begin();
  mesh_.world().all_reduce(std::span(&first, 1), Reduction::kMin, "verify gradients");
  if (first != none) {
    const std::string& name = entries[static_cast<size_t>(first)].parameter->name;
    fail(step.noise.step, fmt::format("module {}: the gradient of {}", module_of(name), name));
  }
  if (any) fail(step.noise.step, "module head: the loss");
}

bool StepVerifier::same_gradient(const GradientArena::Entry& entry) const {
  const ParameterArena::Entry& mine = *entry.parameter;
  const auto twin =
      std::ranges::find_if(whole_gradients_.entries(), [&](const GradientArena::Entry& other) {
        return other.parameter->name == mine.name &&
               other.parameter->parameter->shard() == mine.parameter->shard();
      });
  if (twin == whole_gradients_.entries().end()) return false;
  if (!entry.sparse) return !differ(gradients_.dense(entry), whole_gradients_.dense(*twin));
  const SparseRows& rows = gradients_.sparse(entry);
  const SparseRows& whole = whole_gradients_.sparse(*twin);
  return rows.ids == whole.ids && !differ(rows.values, whole.values);
}

// Which layer's output differs, with this rank's part of the batch.
void StepVerifier::check_activations(const Step& step) const {
  const NoGrad no_grad;
  const LeafPlan plan = plan_leaves(step.samples, step.leaves,
                                    [&](int64_t sample) { return step.data.length(sample); });
  int64_t first = std::numeric_limits<int64_t>::max();
  for (const LeafPlan::Pass& pass : plan.passes) {
    PackedSequences packed;
    for (int64_t sample : pass.samples) step.data.add_to(packed, sample);
    if (packed.sequences() == 0) continue;
    Batch batch = make_batch(packed, arena_.device());
    batch.noise = step.noise;
    const std::vector<Tensor> mine = model_.model->encoder.hidden_states(batch);
    const std::vector<Tensor> whole = whole_.encoder.hidden_states(batch);
    for (size_t i = 0; i < mine.size(); ++i) {
      if (!differ(mine[i].span<const float>(), whole[i].span<const float>())) continue;
      first = std::min(first, static_cast<int64_t>(i));
      break;
    }
  }
  mesh_.world().all_reduce(std::span(&first, 1), Reduction::kMin, "verify activations");
  if (first == std::numeric_limits<int64_t>::max()) return;
  fail(step.noise.step, first == 0
                            ? std::string("module encoder.embeddings: the output")
                            : fmt::format("module encoder.layers.{}: the output", first - 1));
}

void check_replicas(const ParameterArena& arena, const Mesh& mesh) {
  std::string hashes;
  arena.apply_pending();
  for (const ParameterArena::Entry& entry : arena.entries()) {
    hashes += hash_hex(std::as_bytes(entry.parameter->value.span<const float>()));
  }
  const std::vector<std::string> all = all_gather_text(mesh.data(), hashes, "replicas");
  std::string found;
  const size_t each = hashes.size() / std::max<size_t>(1, arena.entries().size());
  for (size_t r = 1; r < all.size() && found.empty(); ++r) {
    for (size_t i = 0; i < arena.entries().size(); ++i) {
      if (all[r].compare(i * each, each, all[0], i * each, each) == 0) continue;
      found = fmt::format("the parameter {} of data-parallel rank {} differs from rank 0's",
                          arena.entries()[i].name, r);
      break;
    }
  }
  for (const std::string& text : all_gather_text(mesh.world(), found, "replicas")) {
    if (text.empty()) continue;
    throw Error(ExitCode::kInternal, "replicas are no longer the same: " + text,
                "memory or a processor of that rank may be faulty; the last checkpoint is from "
                "before");
  }
}

}  // namespace heddle
