// Batch inference: rows of files to answers, in input order, in bounded memory, on any number of
// ranks, and resumable.
//
//   PredictOptions options{.input = {.paths = {"rows.tsv"}}, .output = "answers.tsv"};
//   predict(files, *served, options, device, mesh);
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "datasets/examples.h"
#include "datasets/row_writer.h"
#include "framework/parallel/mesh.h"
#include "trainer/served_model.h"

namespace heddle {

struct PredictProgress {
  int64_t rows = 0;
  double seconds = 0;
};

struct PredictOptions {
  DataSource input;
  std::string output;       // by ending: TSV, CSV or JSONL; "-" is standard output
  bool all_scores = false;  // one more column a label, its probability
  bool logits = false;      // one more column a label, the raw output
  bool resume = false;      // go on behind the rows that the same job, interrupted, has written
  int64_t skip_bad = 0;
  std::function<void(const PredictProgress&)> progress;  // on rank 0; may be empty
};

struct PredictResult {
  int64_t rows = 0;     // in the output
  int64_t resumed = 0;  // of these from an earlier job
  std::vector<BadRow> skipped;
};

// Throws Error (kInput) for paths and a --resume that cannot be, before anything is loaded.
void require_paths(const PredictOptions& options);

// Collective. The input's columns are kept; `label` and `score` are added.
PredictResult predict(FileSystem& files, const ServedModel& served, const PredictOptions& options,
                      const Device& device, const Mesh& mesh);

}  // namespace heddle
