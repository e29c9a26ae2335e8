// The training program: from a config to a trained model in a run folder.
//
//   const Config config = read_config(files, "configs/sst2.yaml", {});
//   const TrainOutcome outcome =
//       train(config, {}, {.files = files, .world = *world, .pool = pool, .console = console});
//
// A second start of the same config goes on where the first one stopped, on any number of ranks.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>

#include "framework/comm/communicator.h"
#include "framework/comm/watchdog.h"
#include "framework/device/thread_pool.h"
#include "framework/io/file_system.h"
#include "trainer/config/schema.h"
#include "trainer/log/console.h"
#include "trainer/run_lock.h"

namespace heddle {

struct TrainerEnvironment {
  FileSystem& files;
  Communicator& world;
  ThreadPool& pool;
  Console& console;                          // silent on all ranks but one
  Watchdog* watchdog = nullptr;              // told of every step; may be null
  std::function<bool()> stop_asked;          // a signal has arrived; may be empty
  std::map<std::string, std::string> facts;  // of the machine, for run.json
  // How long to wait for another job to leave the run folder.
  std::chrono::milliseconds lock_patience = kRunLockPatience;
};

// auto: go on if the run folder holds a run; never: refuse if it does; else the path of a
// checkpoint, or of a run whose newest whole one is meant, to go on from in a run folder of its
// own.
struct ResumeChoice {
  std::string choice = "auto";
};

enum class TrainOutcome {
  kFinished,
  kNothingToDo,  // the run was finished before
  kStopped,      // on a signal, after saving
};

// Collective. Throws Error on every rank, or std::exception on the one that fails.
TrainOutcome train(const Config& config, const ResumeChoice& resume,
                   const TrainerEnvironment& environment);

}  // namespace heddle
