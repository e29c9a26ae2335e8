#include "trainer/run_log.h"

#include "framework/device/allocator.h"
#include "framework/io/hash.h"
#include "trainer/config/yaml.h"
#include "trainer/parameter_hashes.h"
#include "trainer/planner/run_memory.h"

namespace heddle {
namespace {

std::string describe(const Mesh& mesh, bool sequence) {
  const auto [data, tensor] = mesh.size();
  if (tensor == 1) return fmt::format("{} data-parallel rank{}", data, data == 1 ? "" : "s");
  return fmt::format("{} data x {} tensor ranks{}", data, tensor, sequence ? ", rows split" : "");
}

}  // namespace

RunLog::RunLog(const TrainerEnvironment& environment, const LoggedRun& run, Clock::time_point begun)
    : env_(environment),
      run_(run),
      folder_(run.config.output),
      root_(environment.world.rank() == 0),
      begun_(begun) {}

void RunLog::open(const CheckpointReader* checkpoint, std::optional<int64_t> last_saved) {
  if (root_) {
    if (!checkpoint || !folder_.has_run(env_.files)) {
      write_file_atomically(env_.files, folder_.config_file(), to_yaml(run_.config));
    }
    write_state(last_saved);
    const int64_t step = run_.state.step;
    log_.emplace(env_.files, folder_.log_file(), step);
    if (!log_->damage().empty()) env_.console.warning(log_->damage());
    if (run_.config.log.tensorboard) {
      board_.emplace(env_.files, folder_.path(), TensorBoardOptions{.resumed_step = step});
    }
    if (checkpoint) {
      event("resume", {{"from", checkpoint->path()}, {"ranks", env_.world.size()}});
    }
  }
  if (!checkpoint) {
    Json details = {{"ranks", env_.world.size()}};
    // safetensors have no checksum of their own.
    for (const std::string& path : run_.model.source_files) {
      if (root_) details["weights"][path] = hash_file(env_.files, path);
    }
    hashes("start", std::move(details));
  }
  announce();
}

void RunLog::announce() {
  const TrainingModel& model = run_.model;
  const TrainingData& data = run_.data;
  RunFacts facts{.title = "heddle train " + folder_.path(), .facts = {}};
  const auto add = [&](const char* name, std::string value) {
    facts.facts.emplace_back(name, std::move(value));
  };
  add("model", fmt::format("{}, {} layers of {}, {:.1f} M parameters", model.config.family,
                           model.config.layers, model.config.hidden_size,
                           static_cast<double>(count_parameters(*model.model)) / 1e6));
  add("task", fmt::format("{}, {} labels", name_of(model.task->problem()), model.task->outputs()));
  add("data", fmt::format("{} training, {} validation, {} test rows", data.train.rows(),
                          data.validation ? data.validation->rows() : 0,
                          data.test ? data.test->rows() : 0));
  add("mesh",
      fmt::format("{}, {} thread{} each, cpu", describe(run_.mesh, run_.config.parallel.sequence),
                  env_.pool.threads(), env_.pool.threads() == 1 ? "" : "s"));
  add("numerics", run_.config.numerics.mode == "fast"
                      ? std::string("fast: reproducible on this mesh")
                      : fmt::format("canonical: the same bits on 1 to {} ranks",
                                    run_.state.leaves * run_.state.parts));
  if (run_.memory) add("memory", "by plan, of a rank, " + run_.memory->text());
  add("steps",
      fmt::format("{} of {}, {} an epoch", run_.state.step, run_.steps, run_.steps_per_epoch));
  env_.console.start(facts);
  // What the model began with, which a resumed run has left behind.
  if (run_.state.step == 0) {
    for (const std::string& note : model.notes) env_.console.note(note);
  }
  for (const BadRow& row : data.train.bad_rows()) {
    env_.console.warning(fmt::format("skipped {}: {}", row.where, row.reason));
  }
}

void RunLog::step(const StepResult& result, double rate, double seconds) {
  ++steps_here_;
  step_seconds_ += seconds;
  step_tokens_ += result.tokens;
  const int64_t step = run_.state.step;
  const double tokens_per_second = static_cast<double>(step_tokens_) / step_seconds_;
  const double elapsed = std::chrono::duration<double>(Clock::now() - begun_).count();
  if (log_ && (step % run_.config.training.log_every == 0 || step == 1 || step == run_.steps)) {
    const StepRecord record = {.step = step,
                               .epoch = epoch(),
                               .loss = result.loss,
                               .lr = rate,
                               .grad_norm = result.gradient_norm,
                               .tokens = result.tokens,
                               .tokens_per_second = tokens_per_second};
    log_->add(record);
    if (board_) board_->add(record);
  }
  env_.console.progress({.step = step,
                         .steps = run_.steps,
                         .epoch = epoch(),
                         .loss = result.loss,
                         .lr = rate,
                         .steps_per_second = static_cast<double>(steps_here_) / step_seconds_,
                         .tokens_per_second = tokens_per_second,
                         .seconds_left = static_cast<double>(run_.steps - step) * elapsed /
                                         static_cast<double>(steps_here_)});
  if (steps_here_ == 1) event("first_step", {{"seconds_since_start", elapsed}});
}

void RunLog::evaluation(const Evaluation& evaluation, const std::string& split,
                        const TrainingState& of) {
  if (!root_) return;
  const EvaluationRecord record = {.step = of.step,
                                   .epoch = epoch_of(of),
                                   .split = split,
                                   .rows = evaluation.report.rows,
                                   .seconds = evaluation.seconds,
                                   .metrics = evaluation.report.values};
  log_->add(record);
  if (board_) board_->add(record);
  std::optional<BestSoFar> best;
  if (split != "test" && run_.state.best) {
    best = {run_.state.best->metric, run_.state.best->value, run_.state.best->step};
  }
  env_.console.evaluation(record, best);
}

void RunLog::event(const std::string& name, Json details) {
  if (!log_) return;
  log_->add(EventRecord{.step = run_.state.step, .event = name, .details = std::move(details)});
}

void RunLog::hashes(const std::string& event_name, Json details) {
  // The tensor group of rank 0 holds all of the model; the others hold copies.
  if (run_.mesh.data().rank() != 0) return;
  const ParameterHashes hashes = hash_parameters(*run_.model.arena, run_.mesh.tensor());
  details["hash"] = hashes.all;
  details["parameters"] = hashes.each;
  event(event_name, std::move(details));
}

void RunLog::memory(Communicator& group) {
  const MeasuredMemory measured = measured_memory(group);
  if (run_.memory) event("memory", memory_record(*run_.memory, measured));
}

void RunLog::write_state(std::optional<int64_t> last_saved, const std::string& ended) {
  if (!root_) return;
  RunState state;
  state.version = HEDDLE_VERSION;
  state.step = run_.state.step;
  state.epoch = epoch();
  state.last = last_saved;
  state.best = run_.state.best;
  state.ended = ended;
  for (const auto& [name, key] : run_.data.keys) state.hashes[name] = key;
  state.environment = env_.facts;
  state.environment["ranks"] = std::to_string(env_.world.size());
  if (run_.memory) {
    state.environment["memory_planned"] = std::to_string(run_.memory->allocated());
    state.environment["memory_high_water"] = std::to_string(memory_statistics().high_water);
  }
  state.environment["threads"] = std::to_string(env_.pool.threads());
  folder_.write_state(env_.files, state);
}

void RunLog::sync() {
  if (log_) log_->sync();
}

double RunLog::epoch_of(const TrainingState& state) const {
  const SamplerState& sampler = state.sampler;
  return static_cast<double>(sampler.epoch) +
         static_cast<double>(sampler.position) / static_cast<double>(run_.data.train.size());
}

}  // namespace heddle
