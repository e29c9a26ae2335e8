// Hugging Face folder <-> checkpoint.
#pragma once

#include <string>

#include "framework/io/file_system.h"
#include "framework/parallel/mesh.h"

namespace heddle {

// Writes a checkpoint of step 0 that holds the folder's weights and tokenizer, and the hashes of
// its files: the same on any mesh. Each rank holds its slices alone, and reads no others. Returns
// what to tell the user. Collective. Throws Error(kInput) if `output` exists.
std::string import_folder(FileSystem& files, const std::string& folder, const std::string& output,
                          const Mesh& mesh);

// Writes the model as a folder: config.json, model.safetensors, the tokenizer's files, and a model
// card with the metrics of its run. A checkpoint's tensors are read one after another, and one of
// them is held at a time; a folder's are mapped, and its query, key and value projections held. For
// one rank. Throws Error(kInput) if `output` is there, unless it is an empty folder.
void export_model(FileSystem& files, const std::string& path, const std::string& output);

}  // namespace heddle
