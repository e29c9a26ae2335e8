// A model in each precision, on a sample of rows: how fast it is, and what it changes.
//
//   PrecisionCandidates candidates = load_candidates(files, "runs/sst2", {.mesh = &mesh});
//   const MeasuredPrecisions measured = measure_precisions(
//       candidates, {.input = {.paths = {"rows.tsv"}}, .rows = 512}, device, mesh);
//   auto served = candidates.take(choose_precision(measured, 0.001));
//
// The models are in memory together, and the sample's text and token ids; nothing else grows with
// the input. Times are of the model alone, without reading and tokenizing, whose cost is the same
// in each precision.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "datasets/examples.h"
#include "framework/parallel/mesh.h"
#include "trainer/precision_choice.h"
#include "trainer/served_model.h"

namespace heddle {

struct PrecisionCandidates {
  std::vector<std::unique_ptr<ServedModel>> models;  // f32 first
  std::vector<std::string> left_out;                 // "int8: reason"

  // The model of that precision; the others are let go.
  std::unique_ptr<ServedModel> take(Precision precision);
};

// A precision that this model or processor cannot compute in is left out. `options.precision` is
// not used. Collective; throws as load_served_model() does for f32.
PrecisionCandidates load_candidates(FileSystem& files, const std::string& path,
                                    LoadOptions options);

constexpr int64_t kSampleRows = 512;  // where nobody says how many
constexpr int64_t kMostSampleRows = 65536;

struct SampleOptions {
  DataSource input;  // no standard input: the rows are read again afterwards
  int64_t rows = kSampleRows;
  // Rows without the column input.label, or with a label that the model does not know, give no
  // metric instead of an error.
  bool label_is_a_guess = true;
  int64_t skip_bad = 0;
};

// On rank 0; without measurements elsewhere. After one pass of each to warm up, the precisions take
// turns, of so many passes that f32 takes 50 ms or more; of three turns the fastest counts, as what
// disturbs a measurement only slows it. Collective. Throws Error(kInput) if there is no row.
MeasuredPrecisions measure_precisions(const PrecisionCandidates& candidates,
                                      const SampleOptions& options, const Device& device,
                                      const Mesh& mesh);

}  // namespace heddle
