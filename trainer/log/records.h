// What a training run tells about itself, whoever listens: the log file, TensorBoard, the console,
// the report.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/io/json.h"
#include "trainer/metrics/metrics.h"

namespace heddle {

// One optimizer step.
struct StepRecord {
  int64_t step = 0;              // counted from 1
  double epoch = 0;              // epochs done after the step, 0.25 = a quarter of the first
  double loss = 0;               // mean over the step's samples
  double lr = 0;                 // of the first parameter group
  double grad_norm = 0;          // before clipping
  int64_t tokens = 0;            // of the step, on all ranks
  double tokens_per_second = 0;  // of the whole job, since it began
};

// One evaluation of a data set.
struct EvaluationRecord {
  int64_t step = 0;
  double epoch = 0;
  std::string split = {};  // "validation" or "test"
  int64_t rows = 0;
  double seconds = 0;
  std::vector<MetricValue> metrics = {};
};

// Anything else: "start", "resume", "checkpoint", "skipped_step", "early_stop", "signal", "end".
struct EventRecord {
  int64_t step = 0;
  std::string event = {};
  Json details = Json::object();  // further keys of the line; not "step", "event"
};

}  // namespace heddle
