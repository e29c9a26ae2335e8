#include "trainer/trainer.h"

#include <fnmatch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "datasets/epoch_sampler.h"
#include "framework/comm/agree.h"
#include "framework/comm/collectives.h"
#include "framework/core/nearest_name.h"
#include "framework/device/allocator.h"
#include "framework/optim/schedule.h"
#include "framework/parallel/mesh.h"
#include "trainer/checkpoint_save.h"
#include "trainer/config/yaml.h"
#include "trainer/deadlines.h"
#include "trainer/evaluation.h"
#include "trainer/metrics/metric_report.h"
#include "trainer/planner/run_memory.h"
#include "trainer/precision_choice.h"
#include "trainer/run_log.h"
#include "trainer/run_start.h"
#include "trainer/train_step.h"
#include "trainer/training_setup.h"

namespace heddle {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kMostFailedSaves = 3;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Leaves of a batch; refuses a number of ranks that canonical arithmetic cannot use.
int64_t leaves_of_batch(const NumericsConfig& numerics, int64_t ranks) {
  if (numerics.mode == "fast") return ranks;
  if (numerics.data % ranks == 0) return numerics.data;
  std::string possible = "1";
  for (int64_t n = 2; numerics.data % n == 0; n *= 2) {
    possible += fmt::format("{}{}", numerics.data % (2 * n) == 0 ? ", " : " or ", n);
  }
  throw Error(ExitCode::kInput,
              fmt::format("{} ranks cannot share {} leaves (numerics.data) in canonical mode",
                          ranks, numerics.data),
              fmt::format("use {} rank{}, or set numerics.mode: fast", possible,
                          possible == "1" ? "" : "s"));
}

OptimizerRanks optimizer_ranks(const Mesh& mesh) {
  if (mesh.size().tensor == 1) return {mesh.data()};
  return {mesh.data(), mesh.tensor()};
}

OptimizerOptions optimizer_options(const OptimizerConfig& config, int64_t zero) {
  OptimizerOptions options;
  options.kind =
      config.name == "sgd" ? OptimizerOptions::Kind::kSgd : OptimizerOptions::Kind::kAdamW;
  options.beta1 = config.betas[0];
  options.beta2 = config.betas[1];
  options.eps = config.eps;
  options.momentum = config.momentum;
  options.clip = config.clip;
  options.shard_state = zero == 1;
  options.group = [config](const std::string& name, const Parameter& parameter) {
    OptimizerOptions::Group group;
    group.weight_decay = parameter.is_matrix() ? config.weight_decay : 0;
    for (const ParameterGroup& g : config.groups) {
      if (fnmatch(g.match.c_str(), name.c_str(), 0) != 0) continue;
      if (g.lr) group.rate = *g.lr / config.lr;
      if (g.weight_decay) group.weight_decay = *g.weight_decay;
      break;
    }
    return group;
  };
  return options;
}

// Refuses a group of the optimizer that no parameter belongs to.
void require_matches(const std::vector<ParameterGroup>& groups, const ParameterArena& arena) {
  std::vector<std::string> patterns, tops;  // that would match: names, and "encoder.layers.0.*"
  for (const ParameterArena::Entry& entry : arena.entries()) {
    patterns.push_back(entry.name);
    for (size_t dot = entry.name.find('.'); dot != std::string::npos;
         dot = entry.name.find('.', dot + 1)) {
      patterns.push_back(entry.name.substr(0, dot) + ".*");
      if (std::ranges::find(tops, patterns.back()) == tops.end() && dot == entry.name.find('.')) {
        tops.push_back(patterns.back());
      }
    }
  }
  for (const ParameterGroup& group : groups) {
    if (std::ranges::any_of(arena.entries(), [&](const ParameterArena::Entry& entry) {
          return fnmatch(group.match.c_str(), entry.name.c_str(), 0) == 0;
        })) {
      continue;
    }
    const std::string nearest = nearest_name(group.match, patterns);
    throw Error(ExitCode::kInput,
                fmt::format("optimizer.groups: match '{}' fits no parameter", group.match),
                nearest.empty() ? did_you_mean(group.match, tops)
                                : fmt::format("did you mean '{}'?", nearest));
  }
}

class Trainer {
 public:
  Trainer(const Config& config, const ResumeChoice& resume, const TrainerEnvironment& environment)
      : config_(config),
        env_(environment),
        root_(environment.world.rank() == 0),
        folder_(config.output),
        device_(Device::cpu(&environment.pool)),
        mesh_(environment.world, {.data = static_cast<int>(config.parallel.data.value_or(0)),
                                  .tensor = static_cast<int>(config.parallel.tensor)}),
        lock_(environment.files, environment.world, folder_, environment.lock_patience),
        start_(start_run(environment.files, config, resume, folder_)) {
    if (config_.precision != "auto") return;
    config_.precision = automatic_precision();
    env_.console.note(fmt::format("precision auto: {}", config_.precision));
  }

  TrainOutcome run();

 private:
  // Ranks that share a batch; a model may take several ranks (mesh_.tensor()) beside.
  Communicator& ranks() { return mesh_.data(); }
  int64_t parts() const;
  // What `auto` stands for: what the run was begun in, else what all ranks are fast at.
  std::string automatic_precision();
  void warn_of_slow_products();
  void set_up();
  // Model, data, gradients and optimizer.
  void make_what_lasts();
  void build_schedule();
  void restore();
  bool step();
  void evaluate();
  // Without `must` a failure is a warning, until there are too many in a row. With checkpoint.async
  // it goes on behind the steps, unless it must be there now.
  void save(bool best, bool must = false);
  // Looks how far a save in the background is, or waits for it.
  void settle(bool wait, bool must);
  void test();
  void beat(std::string_view what, Deadlines::Limit limit);
  Deadlines::Limit checkpoint_limit() const;
  Deadlines::Limit evaluation_limit(const TokenizedDataset& data) const;
  bool stop_asked();
  const Metric& metric() const;
  bool stops_early() const;
  int64_t every(const Every& e) const { return e.in_steps(steps_per_epoch_); }

  Config config_;  // its precision resolved
  const TrainerEnvironment& env_;
  bool root_;
  RunFolder folder_;
  Device device_;
  Mesh mesh_;
  RunLock lock_;  // before the folder is read
  RunStart start_;

  TrainingModel model_;
  std::optional<TrainingData> data_;
  std::optional<GradientArena> gradients_;
  std::optional<Optimizer> optimizer_;
  std::optional<TrainStep> train_step_;
  std::optional<StepVerifier> verifier_;  // of the first steps of this start
  std::optional<EpochSampler> sampler_;
  Schedule schedule_;
  int64_t steps_per_epoch_ = 1;
  int64_t total_steps_ = 1;
  TrainingState state_;
  std::optional<CheckpointSave> saving_;
  double saving_seconds_ = 0;                  // that training has waited for it
  std::optional<BestCheckpoint> best_before_;  // before the best that is being saved
  std::optional<int64_t> last_saved_;
  int64_t failed_saves_ = 0;  // in a row

  std::optional<RunLog> log_;
  Clock::time_point begun_ = Clock::now();
  Deadlines deadlines_{config_.watchdog};
  int64_t steps_to_verify_ = config_.verify.steps;
};

TrainOutcome Trainer::run() {
  for (const std::string& warning : lock_.warnings()) env_.console.warning(warning);
  for (const std::string& warning : start_.warnings) env_.console.warning(warning);
  if (start_.finished) {
    env_.console.note(fmt::format("{}: this run is finished", folder_.path()));
    return TrainOutcome::kNothingToDo;
  }
  beat("start", deadlines_.start());
  warn_of_slow_products();
  set_up();
  restore();
  std::optional<MemoryTerms> planned;
  if (root_) {
    planned = plan_run_memory(config_, model_.config, data_->train, total_steps_,
                              {.data = mesh_.size().data,
                               .tensor = mesh_.size().tensor,
                               .parts = state_.parts,
                               .zero = config_.parallel.zero});
  }
  log_.emplace(env_,
               LoggedRun{.config = config_,
                         .model = model_,
                         .data = *data_,
                         .state = state_,
                         .mesh = mesh_,
                         .steps = total_steps_,
                         .steps_per_epoch = steps_per_epoch_,
                         .memory = planned},
               begun_);
  log_->open(start_.checkpoint.get(), last_saved_);
  while (state_.step < total_steps_ && !stops_early()) {
    const bool stop = step();
    if (saving_) settle(false, false);
    const int64_t evaluations = every(config_.training.evaluate_every);
    const bool last = state_.step == total_steps_;
    if (data_->validation && ((evaluations > 0 && state_.step % evaluations == 0) || last)) {
      evaluate();
    }
    const int64_t saves = every(config_.checkpoint.every);
    const bool must = last || stop || stops_early();
    if ((saves > 0 && state_.step % saves == 0) || must) save(false, must);
    if (stop && !last) {
      log_->memory(env_.world);
      log_->event("signal");
      log_->write_state(last_saved_, "signal");
      env_.console.result(
          fmt::format("stopped on a signal after step {}; start again to go on", state_.step));
      return TrainOutcome::kStopped;
    }
  }
  log_->hashes();
  log_->memory(env_.world);
  test();
  const std::string ended = stops_early() ? "early_stop" : "finished";
  log_->event("end", {{"reason", ended}});
  log_->write_state(last_saved_, ended);
  env_.console.finish();
  return TrainOutcome::kFinished;
}

void Trainer::set_up() {
  try {
    make_what_lasts();
  } catch (const OutOfMemory& error) {
    throw Error(ExitCode::kInput,
                fmt::format("weights, gradients and optimizer state do not fit: {}", error.what()),
                "more ranks that share the model (parallel.tensor) or its optimizer "
                "(parallel.zero: 1), or a higher --memory-limit, may help; heddle plan says what a "
                "rank needs");
  }
  train_step_.emplace(*model_.model, *model_.task, *gradients_, *optimizer_, ranks());
  const bool canonical = config_.numerics.mode != "fast";
  if (steps_to_verify_ > 0) {
    verifier_.emplace(model_, *gradients_, mesh_,
                      VerifierOptions{.parts = static_cast<int>(state_.parts), .exact = canonical});
    train_step_->verify_with(&*verifier_);
  }
  build_schedule();
}

void Trainer::make_what_lasts() {
  state_.parts = parts();
  state_.precision = precision_from_name(config_.precision);
  const Group group = mesh_.group(static_cast<int>(state_.parts), stream_of(config_.parallel));
  require_precision(state_.precision, group);
  model_ = make_training_model(env_.files, config_, device_, group);
  require_matches(config_.optimizer.groups, *model_.arena);
  data_ = open_training_data(env_.files, config_, model_, folder_.cache(), env_.pool, env_.world);
  const bool canonical = config_.numerics.mode != "fast";
  state_.leaves = leaves_of_batch(config_.numerics, ranks().size());
  gradients_.emplace(*model_.arena, ranks(), canonical);
  optimizer_.emplace(*model_.arena, *gradients_, optimizer_ranks(mesh_),
                     optimizer_options(config_.optimizer, config_.parallel.zero));
}

// Slices of each matrix: a run keeps those it started with, unless its arithmetic is the mesh's.
int64_t Trainer::parts() const {
  if (config_.numerics.mode == "fast") return config_.parallel.tensor;
  if (start_.checkpoint) return start_.checkpoint->state().parts;
  return config_.numerics.tensor.value_or(config_.parallel.tensor);
}

std::string Trainer::automatic_precision() {
  if (!start_.precision.empty()) return start_.precision;
  const bool possible = parts() == 1;  // slices are f32 alone (require_precision)
  return std::string(name_of(possible ? fastest_safe_precision(env_.world) : Precision::kF32));
}

void Trainer::warn_of_slow_products() {
  if (const auto slow = slow_precision(precision_from_name(config_.precision))) {
    env_.console.warning(*slow);
  }
}

void Trainer::build_schedule() {
  sampler_.emplace(data_->train.size(), sampler_options(config_, state_.leaves),
                   [this](int64_t sample) { return data_->train.length(sample); });
  steps_per_epoch_ = sampler_->batches(0);
  total_steps_ = config_.training.steps.value_or(0);
  for (int64_t e = 0; !config_.training.steps && e < *config_.training.epochs; ++e) {
    total_steps_ += sampler_->batches(e);
  }
  schedule_ = {.shape = schedule_shape(config_.schedule.name),
               .lr = config_.optimizer.lr,
               .warmup_steps = config_.schedule.warmup.of(total_steps_),
               .end = config_.schedule.end,
               .decay_steps = config_.schedule.decay.of(total_steps_)};
}

void Trainer::restore() {
  if (!start_.checkpoint) return;
  const CheckpointReader& from = *start_.checkpoint;
  for (const auto& [name, key] : data_->keys) {
    const std::string before = from.hash(name);
    if (name == "test" || before.empty() || before == key) continue;
    throw Error(ExitCode::kInput,
                fmt::format("{}: the {} data or the tokenizer have changed since this checkpoint",
                            from.path(), name),
                "restore the files, or set another `output` to start a new run");
  }
  const TrainingState fresh = state_;
  from.fill(*model_.arena, config_.seed, model_.notes);
  from.fill(*optimizer_);
  state_ = from.state();
  if (config_.numerics.mode != "fast") state_.leaves = fresh.leaves;
  state_.parts = fresh.parts;
  state_.precision = fresh.precision;
  optimizer_->set_steps(state_.optimizer_steps);
  sampler_->seek(state_.sampler);
  last_saved_ = state_.step;
}

// One step; true if the ranks agree to stop after it.
bool Trainer::step() {
  beat("step", deadlines_.step());
  const auto begun = Clock::now();
  const GlobalBatch batch = sampler_->next();
  const double rate = learning_rate(schedule_, state_.step, total_steps_);
  const StepResult result =
      train_step_->run(data_->train, batch.samples,
                       {.leaves = state_.leaves,
                        .micro_tokens = config_.batch.micro_tokens,
                        .rank = ranks().rank(),
                        .ranks = ranks().size(),
                        .even = config_.numerics.mode == "fast"},
                       {.seed = static_cast<uint64_t>(config_.seed), .step = state_.step}, rate);
  ++state_.step;
  if (verifier_ && --steps_to_verify_ == 0) {
    env_.console.note(
        fmt::format("verified: {} steps equal those of one rank", config_.verify.steps));
    train_step_->verify_with(nullptr);
    verifier_.reset();
  }
  const int64_t replicas = config_.replica_check_every;
  if (replicas > 0 && state_.step % replicas == 0) check_replicas(*model_.arena, mesh_);
  state_.sampler = sampler_->state();
  state_.optimizer_steps = optimizer_->steps();
  const Agreement all =
      agree(env_.world, {.step = state_.step, .stop = stop_asked(), .non_finite = result.skipped});

  const double seconds = seconds_since(begun);
  deadlines_.add_step(seconds);
  log_->step(result, rate, seconds);
  if (result.skipped) {
    ++state_.skipped_in_a_row;
    log_->event("skipped_step", {{"loss", result.loss}, {"grad_norm", result.gradient_norm}});
    env_.console.warning(
        fmt::format("step {}: loss or gradient is not finite; the step was skipped", state_.step));
    if (state_.skipped_in_a_row > config_.training.max_skipped_steps) {
      throw Error(ExitCode::kInternal,
                  fmt::format("{} steps in a row had a loss or gradient that is not finite",
                              state_.skipped_in_a_row),
                  "a lower optimizer.lr or a longer schedule.warmup may help; the last checkpoint "
                  "is kept");
    }
  } else {
    state_.skipped_in_a_row = 0;
  }
  if (config_.log.hash_every > 0 && state_.step % config_.log.hash_every == 0) {
    log_->hashes();
  }
  return all.stop;
}

void Trainer::evaluate() {
  beat("evaluation", evaluation_limit(*data_->validation));
  const Evaluation evaluation =
      evaluate_dataset(*model_.model, *model_.task, *data_->validation, device_, mesh_);
  // So that a best checkpoint that failed is known before this one is compared with it.
  if (saving_) settle(true, false);
  const std::string name(metric().name);
  const double value =
      broadcast(env_.world, root_ ? evaluation.report.value(name) : 0.0, 0, "metric");
  best_before_ = state_.best;
  const bool better = improves(metric(), value, state_.best ? state_.best->value : NAN);
  if (better) {
    state_.best = BestCheckpoint{state_.step, name, value};
    state_.evaluations_without_gain = 0;
  } else {
    ++state_.evaluations_without_gain;
  }
  log_->evaluation(evaluation, "validation", state_);
  if (better) save(true);
}

void Trainer::save(bool best, bool must) {
  if (saving_ && (best || must || saving_->step() != state_.step)) settle(true, false);
  if (saving_ || (last_saved_ == state_.step && !best)) return;
  beat("checkpoint", checkpoint_limit());
  const CheckpointContents contents = {.config = model_.config,
                                       .text = model_.text,
                                       .tokenizer = *model_.tokenizer,
                                       .arena = *model_.arena,
                                       .optimizer = &*optimizer_,
                                       .state = state_,
                                       .run_config = to_yaml(config_),
                                       .hashes = data_->keys};
  const SaveOptions options = {.root = folder_.checkpoints(),
                               .step = state_.step,
                               .keep = config_.checkpoint.keep,
                               .best = best,
                               .loaded = start_.checkpoint ? start_.checkpoint->path() : ""};
  const bool behind = config_.checkpoint.async && !must;
  const auto begun = Clock::now();
  saving_.emplace(env_.files, env_.world, options, contents,
                  behind ? CheckpointSave::When::kInBackground : CheckpointSave::When::kInPlace);
  saving_seconds_ = seconds_since(begun);
  if (!behind) settle(true, must);
}

void Trainer::settle(bool wait, bool must) {
  const bool best = saving_->best();
  const auto begun = Clock::now();
  try {
    if (wait) {
      beat("checkpoint", checkpoint_limit());
      saving_->wait();
    }
    const bool done = saving_->poll();
    saving_seconds_ += seconds_since(begun);
    if (!done) return;
  } catch (const Error& error) {
    // The same on all ranks. Training goes on, loudly, unless it would end without its weights.
    saving_.reset();
    if (best) state_.best = best_before_;  // whose weights are still there
    if (++failed_saves_ >= kMostFailedSaves || must) throw;
    env_.console.warning(fmt::format("{}; {}; training goes on", error.what(), error.hint()));
    return;
  }
  failed_saves_ = 0;
  last_saved_ = saving_->step();
  saving_.reset();
  log_->event("checkpoint",
              {{"best", best}, {"of_step", *last_saved_}, {"seconds", saving_seconds_}});
  log_->sync();
  log_->write_state(last_saved_);
}

// Evaluates the test split with the best weights.
void Trainer::test() {
  if (!data_->test) return;
  beat("test", evaluation_limit(*data_->test));
  TrainingState evaluated = state_;
  if (state_.best && state_.best->step != state_.step) {
    const CheckpointReader best(env_.files, join_path(folder_.checkpoints(), "best"),
                                CheckpointReader::Need::kModel);
    best.fill(*model_.arena, config_.seed, model_.notes);
    evaluated = best.state();
  }
  const Evaluation evaluation =
      evaluate_dataset(*model_.model, *model_.task, *data_->test, device_, mesh_);
  log_->evaluation(evaluation, "test", evaluated);
  if (!root_) return;
  write_file_atomically(env_.files, folder_.test_file(),
                        dump_json(to_json(evaluation.report), 2) + "\n");
  write_test_predictions(env_.files, folder_.test_predictions_file(),
                         data_source(*config_.data.test, config_.data.train), config_.data.skip_bad,
                         *model_.task, evaluation.logits);
}

void Trainer::beat(std::string_view what, Deadlines::Limit limit) {
  if (env_.watchdog) env_.watchdog->beat(what, limit);
}

Deadlines::Limit Trainer::checkpoint_limit() const {
  return deadlines_.checkpoint(3 * 4 * count_parameters(*model_.model));  // weights, two moments
}

Deadlines::Limit Trainer::evaluation_limit(const TokenizedDataset& data) const {
  return deadlines_.evaluation(data.size(), static_cast<double>(data_->train.size()) /
                                                static_cast<double>(steps_per_epoch_));
}

bool Trainer::stop_asked() {
  return env_.stop_asked && env_.stop_asked();
}

const Metric& Trainer::metric() const {
  const auto& early = config_.training.early_stop;
  if (config_.checkpoint.best) return find_metric(*config_.checkpoint.best, model_.task->problem());
  if (early && early->metric) return find_metric(*early->metric, model_.task->problem());
  return default_metric(model_.task->problem());
}

bool Trainer::stops_early() const {
  return config_.training.early_stop &&
         state_.evaluations_without_gain >= config_.training.early_stop->patience;
}

}  // namespace

TrainOutcome train(const Config& config, const ResumeChoice& resume,
                   const TrainerEnvironment& environment) {
  return Trainer(config, resume, environment).run();
}

}  // namespace heddle
