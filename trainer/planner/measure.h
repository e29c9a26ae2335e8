// What this machine can do, measured in a few seconds with the ops that training uses, at the sizes
// of the model and on more memory than caches keep from forward to backward: rates of matrix
// products, attention, row-wise ops, the optimizer and sums in shared memory. Kept in a file under
// the processor's name, since it is the same the next time.
//
//   const Machine machine = this_machine(files, default_cache_file(), "AMD EPYC 9354P",
//                                        shape_of(model, step));
#pragma once

#include <string>

#include "framework/core/precision.h"
#include "framework/io/file_system.h"
#include "models/config.h"
#include "trainer/planner/machine.h"
#include "trainer/planner/rank_plan.h"

namespace heddle {

// The sizes at which rates are measured; at most what takes a fraction of a second.
struct MeasuredShape {
  int64_t hidden = 0;
  int64_t intermediate = 0;
  int64_t heads = 0;
  int64_t rows = 0;    // tokens at a time, 4 at least
  int64_t leaves = 1;  // that the rows are cut into
  int64_t length = 0;  // of a sequence
  bool dropout = false;
  Precision precision = Precision::kF32;

  // The key of a measurement in the file.
  std::string text() const;
};

// `tensor`: ranks that share each matrix.
MeasuredShape shape_of(const ClassifierConfig& model, const StepPlan& step, int64_t tensor = 1);

Machine measure_machine(const MeasuredShape& shape);

// From the file, if it holds a measurement of this processor and shape; else measured, and added to
// the file unless that fails.
Machine this_machine(FileSystem& files, const std::string& cache_file, const std::string& processor,
                     const MeasuredShape& shape);

// $XDG_CACHE_HOME/heddle/machine.json, else under ~/.cache; empty if neither is known.
std::string default_cache_file();

}  // namespace heddle
