// Hugging Face folder <-> checkpoint.
#pragma once

#include <string>

#include "framework/io/file_system.h"

namespace heddle {

// Writes a checkpoint of step 0 that holds the folder's weights and tokenizer, and the hashes of
// its files. Returns what to tell the user. Throws Error(kInput) if `output` exists.
std::string import_folder(FileSystem& files, const std::string& folder, const std::string& output);

// Writes the model as a folder: config.json, model.safetensors, the tokenizer's files, and a model
// card with the metrics of its run.
void export_model(FileSystem& files, const std::string& path, const std::string& output);

}  // namespace heddle
