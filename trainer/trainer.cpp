#include "trainer/trainer.h"

#include <fnmatch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "datasets/epoch_sampler.h"
#include "framework/comm/agree.h"
#include "framework/comm/collectives.h"
#include "framework/optim/schedule.h"
#include "framework/parallel/mesh.h"
#include "trainer/checkpointing.h"
#include "trainer/config/yaml.h"
#include "trainer/evaluation.h"
#include "trainer/log/jsonl_log.h"
#include "trainer/log/tensorboard.h"
#include "trainer/metrics/metric_report.h"
#include "trainer/parameter_hashes.h"
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
  throw Error(ExitCode::kInput,
              fmt::format("{} ranks cannot share {} leaves (numerics.data) in canonical mode",
                          ranks, numerics.data),
              fmt::format("use 1, 2, 4 … {} ranks, or set numerics.mode: fast", numerics.data));
}

OptimizerOptions optimizer_options(const OptimizerConfig& config) {
  OptimizerOptions options;
  options.kind =
      config.name == "sgd" ? OptimizerOptions::Kind::kSgd : OptimizerOptions::Kind::kAdamW;
  options.beta1 = config.betas[0];
  options.beta2 = config.betas[1];
  options.eps = config.eps;
  options.momentum = config.momentum;
  options.clip = config.clip;
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
        start_(start_run(environment.files, config, resume, folder_)) {}

  TrainOutcome run();

 private:
  Communicator& ranks() { return mesh_.data(); }
  void set_up();
  void build_schedule();
  void restore();
  void open_logs();
  void announce();
  bool step();
  void log_step(const StepResult& result, double rate);
  void evaluate();
  // Without `must` a failure is a warning, until there are too many in a row. False if it failed.
  bool save(bool best, bool must = false);
  void log_hashes();
  void test();
  void write_state(const std::string& ended);
  void event(const std::string& name, Json details = Json::object());
  void beat(std::string_view what);
  bool stop_asked();
  const Metric& metric() const;
  bool stops_early() const;
  int64_t every(const Every& e) const { return e.in_steps(steps_per_epoch_); }
  double epoch() const;

  const Config& config_;
  const TrainerEnvironment& env_;
  bool root_;
  RunFolder folder_;
  Device device_;
  Mesh mesh_;
  RunStart start_;

  TrainingModel model_;
  std::optional<TrainingData> data_;
  std::optional<GradientArena> gradients_;
  std::optional<Optimizer> optimizer_;
  std::optional<TrainStep> train_step_;
  std::optional<EpochSampler> sampler_;
  Schedule schedule_;
  int64_t steps_per_epoch_ = 1;
  int64_t total_steps_ = 1;
  TrainingState state_;
  std::optional<int64_t> last_saved_;
  int64_t failed_saves_ = 0;  // in a row

  std::optional<JsonlLog> log_;
  std::optional<TensorBoardLog> board_;
  Clock::time_point begun_ = Clock::now();
  int64_t steps_here_ = 0;   // since this start
  double step_seconds_ = 0;  // spent in them
  int64_t step_tokens_ = 0;
  std::vector<double> recent_seconds_;  // of steps, for the watchdog
};

TrainOutcome Trainer::run() {
  for (const std::string& warning : start_.warnings) env_.console.warning(warning);
  if (start_.finished) {
    env_.console.note(fmt::format("{}: this run is finished", folder_.path()));
    return TrainOutcome::kNothingToDo;
  }
  beat("start");
  set_up();
  restore();
  open_logs();
  announce();
  while (state_.step < total_steps_ && !stops_early()) {
    const bool stop = step();
    const int64_t evaluations = every(config_.training.evaluate_every);
    const bool last = state_.step == total_steps_;
    if (data_->validation && ((evaluations > 0 && state_.step % evaluations == 0) || last)) {
      evaluate();
    }
    const int64_t saves = every(config_.checkpoint.every);
    const bool must = last || stop || stops_early();
    if ((saves > 0 && state_.step % saves == 0) || must) save(false, must);
    if (stop && !last) {
      event("signal");
      write_state("signal");
      env_.console.note(
          fmt::format("stopped on a signal after step {}; start again to go on", state_.step));
      return TrainOutcome::kStopped;
    }
  }
  log_hashes();
  test();
  const std::string ended = stops_early() ? "early_stop" : "finished";
  event("end", {{"reason", ended}});
  write_state(ended);
  env_.console.finish();
  return TrainOutcome::kFinished;
}

void Trainer::set_up() {
  model_ = make_training_model(env_.files, config_, device_);
  if (root_) make_directories(env_.files, folder_.path());
  data_ = open_training_data(env_.files, config_, model_, folder_.cache(), env_.pool, ranks());
  const bool canonical = config_.numerics.mode != "fast";
  state_.leaves = leaves_of_batch(config_.numerics, ranks().size());
  gradients_.emplace(*model_.arena, ranks(), canonical);
  optimizer_.emplace(*model_.arena, *gradients_, ranks(), optimizer_options(config_.optimizer));
  train_step_.emplace(*model_.model, *model_.task, *gradients_, *optimizer_, ranks());
  build_schedule();
}

void Trainer::build_schedule() {
  const int64_t size = config_.batch.size.value_or(0);
  const SamplerOptions options = {
      .seed = static_cast<uint64_t>(config_.seed),
      .sequences = size,
      .tokens = config_.batch.tokens.value_or(0),
      .leaves = state_.leaves,
      .length_window = config_.training.group_by_length ? 50 * std::max<int64_t>(size, 32) : 0};
  sampler_.emplace(data_->train.size(), options,
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
  const int64_t leaves = state_.leaves;
  from.fill(*model_.arena, config_.seed, model_.notes);
  from.fill(*optimizer_);
  state_ = from.state();
  if (config_.numerics.mode != "fast") state_.leaves = leaves;
  optimizer_->set_steps(state_.optimizer_steps);
  sampler_->seek(state_.sampler);
  last_saved_ = state_.step;
}

void Trainer::open_logs() {
  if (!root_) return;
  if (!start_.checkpoint || !folder_.has_run(env_.files)) {
    write_file_atomically(env_.files, folder_.config_file(), to_yaml(config_));
  }
  write_state("");
  log_.emplace(env_.files, folder_.log_file(), state_.step);
  if (config_.log.tensorboard) {
    board_.emplace(env_.files, folder_.path(), TensorBoardOptions{.resumed_step = state_.step});
  }
  if (start_.checkpoint) {
    event("resume", {{"from", start_.checkpoint->path()}, {"ranks", ranks().size()}});
  } else {
    event("start", {{"ranks", ranks().size()},
                    {"hash", hash_parameters(*model_.arena)},
                    {"parameters", hash_each_parameter(*model_.arena)}});
  }
}

void Trainer::announce() {
  RunFacts facts{.title = "heddle train " + folder_.path(), .facts = {}};
  const auto add = [&](const char* name, std::string value) {
    facts.facts.emplace_back(name, std::move(value));
  };
  add("model", fmt::format("{}, {} layers of {}, {:.1f} M parameters", model_.config.family,
                           model_.config.layers, model_.config.hidden_size,
                           static_cast<double>(count_parameters(*model_.model)) / 1e6));
  add("task",
      fmt::format("{}, {} labels", name_of(model_.task->problem()), model_.task->outputs()));
  add("data", fmt::format("{} training, {} validation, {} test rows", data_->train.rows(),
                          data_->validation ? data_->validation->rows() : 0,
                          data_->test ? data_->test->rows() : 0));
  add("mesh", fmt::format("{} data-parallel rank{}, {} thread{} each, cpu", ranks().size(),
                          ranks().size() == 1 ? "" : "s", env_.pool.threads(),
                          env_.pool.threads() == 1 ? "" : "s"));
  add("numerics", config_.numerics.mode == "fast"
                      ? std::string("fast: reproducible on this mesh")
                      : fmt::format("canonical: the same bits on 1 to {} ranks", state_.leaves));
  add("steps", fmt::format("{} of {}, {} an epoch", state_.step, total_steps_, steps_per_epoch_));
  env_.console.start(facts);
  for (const std::string& note : model_.notes) env_.console.note(note);
  for (const BadRow& row : data_->train.bad_rows()) {
    env_.console.warning(fmt::format("skipped {}: {}", row.where, row.reason));
  }
}

// One step; true if the ranks agree to stop after it.
bool Trainer::step() {
  beat("step");
  const auto begun = Clock::now();
  const GlobalBatch batch = sampler_->next();
  const double rate = learning_rate(schedule_, state_.step, total_steps_);
  const StepResult result =
      train_step_->run(data_->train, batch.samples,
                       {.leaves = state_.leaves,
                        .micro_tokens = config_.batch.micro_tokens,
                        .rank = ranks().rank(),
                        .ranks = ranks().size()},
                       {.seed = static_cast<uint64_t>(config_.seed), .step = state_.step}, rate);
  ++state_.step;
  state_.sampler = sampler_->state();
  state_.optimizer_steps = optimizer_->steps();
  const Agreement all = agree(ranks(), {.step = state_.step, .stop = stop_asked()});

  const double seconds = seconds_since(begun);
  ++steps_here_;
  step_seconds_ += seconds;
  step_tokens_ += result.tokens;
  recent_seconds_.push_back(seconds);
  if (recent_seconds_.size() > 101) recent_seconds_.erase(recent_seconds_.begin());
  log_step(result, rate);
  if (steps_here_ == 1) event("first_step", {{"seconds_since_start", seconds_since(begun_)}});
  if (result.skipped) {
    ++state_.skipped_in_a_row;
    event("skipped_step", {{"loss", result.loss}, {"grad_norm", result.gradient_norm}});
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
  if (config_.log.hash_every > 0 && state_.step % config_.log.hash_every == 0) log_hashes();
  return all.stop;
}

void Trainer::log_step(const StepResult& result, double rate) {
  const double speed = static_cast<double>(step_tokens_) / step_seconds_;
  if (log_ && (state_.step % config_.training.log_every == 0 || state_.step == 1 ||
               state_.step == total_steps_)) {
    const StepRecord record = {.step = state_.step,
                               .epoch = epoch(),
                               .loss = result.loss,
                               .lr = rate,
                               .grad_norm = result.gradient_norm,
                               .tokens_per_second = speed};
    log_->add(record);
    if (board_) board_->add(record);
  }
  const double per_second = static_cast<double>(steps_here_) / step_seconds_;
  env_.console.progress({.step = state_.step,
                         .steps = total_steps_,
                         .epoch = epoch(),
                         .loss = result.loss,
                         .lr = rate,
                         .steps_per_second = per_second,
                         .tokens_per_second = speed,
                         .seconds_left = static_cast<double>(total_steps_ - state_.step) *
                                         seconds_since(begun_) / static_cast<double>(steps_here_)});
}

void Trainer::evaluate() {
  beat("evaluation");
  const Evaluation evaluation =
      evaluate_dataset(*model_.model, *model_.task, *data_->validation, device_, ranks());
  const std::string name(metric().name);
  const double value = broadcast(ranks(), root_ ? evaluation.report.value(name) : 0.0, 0, "metric");
  const std::optional<BestCheckpoint> best_before = state_.best;
  const bool better = improves(metric(), value, state_.best ? state_.best->value : NAN);
  if (better) {
    state_.best = BestCheckpoint{state_.step, name, value};
    state_.evaluations_without_gain = 0;
  } else {
    ++state_.evaluations_without_gain;
  }
  if (root_) {
    const EvaluationRecord record = {.step = state_.step,
                                     .epoch = epoch(),
                                     .split = "validation",
                                     .rows = evaluation.report.rows,
                                     .seconds = evaluation.seconds,
                                     .metrics = evaluation.report.values};
    log_->add(record);
    if (board_) board_->add(record);
    std::optional<BestSoFar> best;
    if (state_.best) best = {state_.best->metric, state_.best->value, state_.best->step};
    env_.console.evaluation(record, best);
  }
  if (better && !save(true)) state_.best = best_before;  // whose weights are still there
}

bool Trainer::save(bool best, bool must) {
  if (last_saved_ == state_.step && !best) return true;
  beat("checkpoint");
  const CheckpointContents contents = {.config = model_.config,
                                       .text = model_.text,
                                       .tokenizer = *model_.tokenizer,
                                       .arena = *model_.arena,
                                       .optimizer = &*optimizer_,
                                       .state = state_,
                                       .run_config = to_yaml(config_),
                                       .hashes = data_->keys};
  try {
    save_checkpoint(env_.files, ranks(),
                    {.root = folder_.checkpoints(),
                     .step = state_.step,
                     .keep = config_.checkpoint.keep,
                     .best = best,
                     .loaded = start_.checkpoint ? start_.checkpoint->path() : ""},
                    contents);
  } catch (const Error& error) {
    // The same on all ranks. Training goes on, loudly, unless it would end without its weights.
    if (++failed_saves_ >= kMostFailedSaves || must) throw;
    env_.console.warning(fmt::format("{}; {}; training goes on", error.what(), error.hint()));
    return false;
  }
  failed_saves_ = 0;
  last_saved_ = state_.step;
  event("checkpoint", {{"best", best}});
  if (log_) log_->sync();
  write_state("");
  return true;
}

void Trainer::log_hashes() {
  if (!root_) return;
  event("hash", {{"hash", hash_parameters(*model_.arena)},
                 {"parameters", hash_each_parameter(*model_.arena)}});
}

// Evaluates the test split with the best weights.
void Trainer::test() {
  if (!data_->test) return;
  beat("test");
  if (state_.best && state_.best->step != state_.step) {
    const CheckpointReader best(env_.files, join_path(folder_.checkpoints(), "best"));
    best.fill(*model_.arena, config_.seed, model_.notes);
  }
  const Evaluation evaluation =
      evaluate_dataset(*model_.model, *model_.task, *data_->test, device_, ranks());
  if (!root_) return;
  const EvaluationRecord record = {.step = state_.best ? state_.best->step : state_.step,
                                   .epoch = epoch(),
                                   .split = "test",
                                   .rows = evaluation.report.rows,
                                   .seconds = evaluation.seconds,
                                   .metrics = evaluation.report.values};
  log_->add(record);
  if (board_) board_->add(record);
  env_.console.evaluation(record);
  write_file_atomically(env_.files, folder_.test_file(),
                        dump_json(to_json(evaluation.report), 2) + "\n");
  write_test_predictions(env_.files, folder_.test_predictions_file(),
                         data_source(*config_.data.test, config_.data.train), config_.data.skip_bad,
                         *model_.task, evaluation.logits);
}

void Trainer::write_state(const std::string& ended) {
  if (!root_) return;
  RunState state;
  state.version = HEDDLE_VERSION;
  state.step = state_.step;
  state.epoch = epoch();
  state.last = last_saved_;
  state.best = state_.best;
  state.ended = ended;
  for (const auto& [name, key] : data_->keys) state.hashes[name] = key;
  state.environment = env_.facts;
  state.environment["ranks"] = std::to_string(ranks().size());
  state.environment["threads"] = std::to_string(env_.pool.threads());
  folder_.write_state(env_.files, state);
}

void Trainer::event(const std::string& name, Json details) {
  if (log_)
    log_->add(EventRecord{.step = state_.step, .event = name, .details = std::move(details)});
}

void Trainer::beat(std::string_view what) {
  if (!env_.watchdog) return;
  double limit = config_.watchdog.start.seconds;
  if (what == "step" && steps_here_ > 0) {
    std::vector<double> sorted = recent_seconds_;
    std::ranges::nth_element(sorted, sorted.begin() + static_cast<int64_t>(sorted.size() / 2));
    const double median = sorted[sorted.size() / 2];
    limit = config_.watchdog.step ? config_.watchdog.step->seconds : std::max(60.0, 20 * median);
  } else if (what != "start" && what != "step") {
    limit = 3600;  // as long as the data are large
  }
  env_.watchdog->beat(what, std::chrono::milliseconds(static_cast<int64_t>(limit * 1000)));
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

double Trainer::epoch() const {
  return static_cast<double>(state_.sampler.epoch) +
         static_cast<double>(state_.sampler.position) / static_cast<double>(data_->train.size());
}

}  // namespace

TrainOutcome train(const Config& config, const ResumeChoice& resume,
                   const TrainerEnvironment& environment) {
  return Trainer(config, resume, environment).run();
}

}  // namespace heddle
