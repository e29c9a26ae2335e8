// What a prediction is of: the model, the rows and the options, as hashes, so that a job that was
// interrupted goes on with the same ones alone.
#pragma once

#include "datasets/output_job.h"
#include "trainer/predict.h"

namespace heddle {

// Reads the model's and the input's files through. Throws Error (kInput) for an input that is no
// file if options.resume: its rows cannot be known to be the same.
OutputJob predict_job(FileSystem& files, const ServedModel& served, const PredictOptions& options);

}  // namespace heddle
