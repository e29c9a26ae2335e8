// Packed sequences of a data set as the batch that a model reads.
#pragma once

#include "datasets/packing.h"
#include "models/batch.h"

namespace heddle {

// Copies the arrays to the device.
Batch make_batch(const PackedSequences& packed, const Device& device);

}  // namespace heddle
