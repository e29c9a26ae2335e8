// What a training run tells while it goes on, and what it leaves behind: the console's lines,
// log.jsonl, TensorBoard events and run.json.
//
//   RunLog log(environment, {.config = config, …, .steps = 5685}, begun);
//   log.open(checkpoint, last_saved);
//   log.step(result, rate, seconds);       // after every step
//   log.event("checkpoint", {{"best", true}});
//
// Every rank has one; only rank 0 writes, and the consoles of the others are silent.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "framework/parallel/mesh.h"
#include "trainer/checkpointing.h"
#include "trainer/evaluation.h"
#include "trainer/log/jsonl_log.h"
#include "trainer/log/tensorboard.h"
#include "trainer/planner/rank_plan.h"
#include "trainer/run_folder.h"
#include "trainer/train_step.h"
#include "trainer/trainer.h"
#include "trainer/training_setup.h"

namespace heddle {

// The run that is told of; all of it outlives the log, which reads `state` whenever it writes.
struct LoggedRun {
  const Config& config;
  const TrainingModel& model;
  const TrainingData& data;
  const TrainingState& state;
  const Mesh& mesh;
  int64_t steps = 1;  // of the whole run
  int64_t steps_per_epoch = 1;
  std::optional<MemoryTerms> memory = {};  // of a rank, by plan; on rank 0
};

class RunLog {
 public:
  using Clock = std::chrono::steady_clock;

  // `begun`: when this start of the run began.
  RunLog(const TrainerEnvironment& environment, const LoggedRun& run, Clock::time_point begun);

  // Opens the files of the run folder, tells of the start, or of the checkpoint that the run goes
  // on from, and prints what the run is. Throws FileError. Collective.
  void open(const CheckpointReader* checkpoint, std::optional<int64_t> last_saved);

  // Step state.step is done, and took that many seconds.
  void step(const StepResult& result, double rate, double seconds);
  // `of`: where the run stood when it had the weights that were evaluated.
  void evaluation(const Evaluation& evaluation, const std::string& split, const TrainingState& of);
  void event(const std::string& name, Json details = Json::object());
  // Fingerprints of all parameters, as an event. Collective.
  void hashes(const std::string& event_name = "hash", Json details = Json::object());
  // What was planned and what the allocators counted, of the rank with the most. Collective.
  void memory(Communicator& group);
  // run.json; `ended` is empty while the run goes on.
  void write_state(std::optional<int64_t> last_saved, const std::string& ended = "");
  // What was logged is on the disk when it returns.
  void sync();

  // Epochs done, 0.25 = a quarter of the first.
  double epoch_of(const TrainingState& state) const;
  double epoch() const { return epoch_of(run_.state); }

 private:
  void announce();

  const TrainerEnvironment& env_;
  LoggedRun run_;
  RunFolder folder_;
  bool root_;
  Clock::time_point begun_;
  std::optional<JsonlLog> log_;
  std::optional<TensorBoardLog> board_;
  int64_t steps_here_ = 0;   // since this start
  double step_seconds_ = 0;  // spent in them
  int64_t step_tokens_ = 0;
};

}  // namespace heddle
