// Scalars of a run for TensorBoard, in a file events.out.tfevents.TIME.HOST.PID.N of its folder.
//
//   TensorBoardLog board(files, "runs/sst2", {.resumed_step = 400});
//   board.add(StepRecord{.step = 410, .loss = 0.21});    // train/loss, train/lr, ...
//   board.add(validation);                               // eval/accuracy, ...
//   board.add(test);                                     // test/accuracy, ...
//
// Every start of a run writes a file of its own, as TensorBoard expects; a resumed one tells it to
// forget what earlier files say about later steps.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "framework/io/file_system.h"
#include "trainer/log/records.h"

namespace heddle {

struct TensorBoardOptions {
  int64_t resumed_step = 0;                // 0: a run from its beginning
  std::function<double()> wall_time = {};  // seconds since 1970; the system's clock if empty
};

class TensorBoardLog {
 public:
  // Throws FileError.
  TensorBoardLog(FileSystem& files, const std::string& folder, TensorBoardOptions options = {});

  // NaN is left out.
  void add(const StepRecord& record);
  void add(const EvaluationRecord& record);

  const std::string& path() const { return file_->path(); }

 private:
  void add_scalars(int64_t step, std::span<const MetricValue> scalars);
  void append_record(const std::string& event);

  TensorBoardOptions options_;
  std::unique_ptr<File> file_;
  uint64_t end_ = 0;
};

}  // namespace heddle
