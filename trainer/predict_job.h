// What a prediction is of: the model, the rows and the options, as hashes, so that a job that was
// interrupted goes on with the same ones alone.
#pragma once

#include <optional>
#include <string>

#include "datasets/output_job.h"
#include "trainer/predict.h"

namespace heddle {

// Reads the model's and the input's files through. Throws Error (kInput) for an input that is no
// file if options.resume: its rows cannot be known to be the same.
OutputJob predict_job(FileSystem& files, const ServedModel& served, const PredictOptions& options);

// What the job that wrote, or began to write, this output computes in: with --precision auto a job
// that goes on takes the same. Nothing if there is no record.
std::optional<Precision> recorded_precision(FileSystem& files, const std::string& output);

}  // namespace heddle
