// A model of ours as a Hugging Face folder that AutoModelForSequenceClassification loads.
//
//   export_folder(files, "exported", config, parts_of(named_parameters(model)), other_files);
#pragma once

#include <functional>
#include <map>
#include <string>

#include "framework/io/file_system.h"
#include "framework/nn/module.h"
#include "models/config.h"

namespace heddle {

// Gives `part`, rows of the whole parameter `name` that its shard tells, its value on the CPU.
using ReadPart = std::function<void(const std::string& name, Parameter& part)>;

// Views of whole parameters in memory, which must outlive the function.
ReadPart parts_of(const NamedParameters& parameters);

// Writes config.json, model.safetensors and `other_files` (tokenizer files, README.md) into the
// folder, which is made if it is not there. `read` is called for one tensor of theirs after
// another; no more than one is held. Files that are there are replaced.
void export_folder(FileSystem& files, const std::string& folder, const ClassifierConfig& config,
                   const ReadPart& read, const std::map<std::string, std::string>& other_files);

}  // namespace heddle
