// A model of ours as a Hugging Face folder that AutoModelForSequenceClassification loads.
#pragma once

#include <map>
#include <string>

#include "framework/io/file_system.h"
#include "framework/nn/module.h"
#include "models/config.h"

namespace heddle {

// Writes config.json, model.safetensors and `other_files` (tokenizer files, README.md) into the
// folder, which is made if it is not there. `parameters` hold every tensor whole, in one
// shard or several. Files that are there are replaced.
void export_folder(FileSystem& files, const std::string& folder, const ClassifierConfig& config,
                   const NamedParameters& parameters,
                   const std::map<std::string, std::string>& other_files);

}  // namespace heddle
