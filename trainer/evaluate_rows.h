// Metrics of a model on labelled files. The logits are those that predict writes.
#pragma once

#include "datasets/examples.h"
#include "framework/parallel/mesh.h"
#include "trainer/metrics/metrics.h"
#include "trainer/served_model.h"

namespace heddle {

// On rank 0; an empty report elsewhere. Collective. A label that the model does not know is an
// error with file and line.
MetricReport evaluate_rows(const ServedModel& served, const DataSource& input, int64_t skip_bad,
                           const Device& device, const Mesh& mesh);

}  // namespace heddle
