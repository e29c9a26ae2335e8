// A run folder that looks like a real one, for the tests of the report.
#pragma once

#include <string>

#include "framework/io/file_system.h"

namespace heddle {

inline constexpr int64_t kSampleSteps = 1200;

// Writes run.json, config.yaml, log.jsonl, test.json and test_predictions.jsonl into `folder`,
// which must not exist.
void write_sample_run(FileSystem& files, const std::string& folder);

}  // namespace heddle
