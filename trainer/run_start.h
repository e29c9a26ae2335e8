// How a run begins: anew, or from where an earlier start of it stopped.
#pragma once

#include <memory>
#include <string>

#include "trainer/checkpointing.h"
#include "trainer/config/schema.h"
#include "trainer/run_folder.h"
#include "trainer/trainer.h"

namespace heddle {

struct RunStart {
  std::unique_ptr<CheckpointReader> checkpoint;  // to go on from; null: from the beginning
  bool finished = false;                         // the run has nothing left to do
  std::string precision;                         // that the run was begun in; "" if it is new
  std::vector<std::string> warnings;             // damaged checkpoints that were passed over
};

// Looks at the run folder. A config whose precision is `auto` goes with a run of any. Throws
// Error(kInput) if it belongs to a run whose config differs in what changes the numbers, with the
// list of differences, or if `resume` is never and it holds a run; Error(kNoData) if a checkpoint
// was asked for and none is valid.
RunStart start_run(FileSystem& files, const Config& config, const ResumeChoice& resume,
                   const RunFolder& folder);

}  // namespace heddle
