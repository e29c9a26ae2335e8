// run.json of a run folder: where the run stands and how it got there.
//
//   {"version": "0.1.0", "step": 5683, "epoch": 3, "last": 5683,
//    "best": {"step": 4000, "metric": "accuracy", "value": 0.9323},
//    "ended": "finished",
//    "hashes": {"config": "9f0c…", "train": "51d2…"},
//    "environment": {"processor": "AMD EPYC 9354P", "ranks": 2, "threads": 1}}
//
// `best` and `last` are null before the first checkpoint, `ended` while the run goes on (or if it
// was killed). The trainer replaces the file at every checkpoint and at the end.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "framework/io/file_system.h"
#include "framework/io/json.h"

namespace heddle {

struct BestCheckpoint {
  int64_t step = 0;
  std::string metric = {};
  double value = 0;
};

struct RunState {
  std::string version = {};  // of heddle
  int64_t step = 0;          // optimizer steps done
  double epoch = 0;
  std::optional<int64_t> last = {};  // step of the newest checkpoint
  std::optional<BestCheckpoint> best = {};
  std::string ended = {};  // "": not yet; "finished", "early_stop", "signal", or what went wrong
  std::map<std::string, std::string> hashes = {};
  std::map<std::string, std::string> environment = {};
};

Json to_json(const RunState& state);

// What to do about a run.json or config.yaml that cannot be read.
inline constexpr const char* kDamagedRunHint =
    "its checkpoints hold the config too: go on with --resume RUN and another `output`, or restore "
    "the file from a copy";

// The file at `path`. Throws Error (no data) that names what is wrong with it.
RunState read_run_state(FileSystem& files, const std::string& path);

// Throws Error (input) that names what is missing or of the wrong kind. Values of `environment` may
// be texts, numbers or booleans.
RunState run_state_from_json(const JsonView& json);

}  // namespace heddle
