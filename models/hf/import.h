// Weights of a Hugging Face folder into a model of ours.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "framework/io/safetensors.h"
#include "framework/nn/module.h"
#include "models/config.h"

namespace heddle {

struct ImportOptions {
  // The head's tensors may be missing or of another shape: it then starts afresh (training).
  bool fresh_head_allowed = false;
  uint64_t seed = 0;  // of a fresh head
};

// What to tell the user.
struct ImportReport {
  std::vector<std::string> fresh;    // parameters of ours that started afresh
  std::vector<std::string> dropped;  // tensors of theirs that this model has no use for
};

// Fills every parameter from `source`, whose values are converted to f32; of a tensor only what the
// parameters' shards hold is read. A parameter without
// memory gets a view of the mapped file where the values lie there as they are, which keeps
// `source` open, else memory of its own. Missing, unexpected and mis-shaped tensors are reported
// together: Error(kInput) names the file and each of them.
ImportReport import_weights(const std::shared_ptr<const SafetensorsFile>& source,
                            const ClassifierConfig& config, const NamedParameters& parameters,
                            const ImportOptions& options);

}  // namespace heddle
