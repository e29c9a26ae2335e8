// Hidden states of rows, for use elsewhere: one vector a row as HDF5 or JSONL.
#pragma once

#include <cstdint>
#include <string>

#include "datasets/examples.h"
#include "framework/parallel/mesh.h"
#include "trainer/served_model.h"

namespace heddle {

enum class FeaturePooling : uint8_t { kCls, kMean, kLast, kNone };

// "cls", "mean", "last", "none". Throws Error(kInput) with the nearest name for any other.
FeaturePooling feature_pooling(const std::string& name);

struct FeatureOptions {
  DataSource input;
  std::string output;  // ends in .h5 or .jsonl
  FeaturePooling pooling = FeaturePooling::kCls;
  int64_t layer = -1;  // 0: what enters the first layer; -1: the last
  int64_t skip_bad = 0;
};

// Writes /features [N, H] f32 and /row [N] i64 (the input's row of each vector), or lines of
// {"row": 0, "features": […]}. Without pooling N counts tokens, else rows; of a long text that
// became windows, the mean. Returns N. Collective.
int64_t extract_features(FileSystem& files, const ServedModel& served,
                         const FeatureOptions& options, const Device& device, const Mesh& mesh);

}  // namespace heddle
