#include "models/hf/export.h"

#include "framework/io/safetensors.h"
#include "models/hf/config.h"
#include "models/hf/tensor_names.h"

namespace heddle {

void export_folder(FileSystem& files, const std::string& folder, const ClassifierConfig& config,
                   const NamedParameters& parameters,
                   const std::map<std::string, std::string>& other_files) {
  const Family& family = family_named(config.family, "model");
  std::vector<SafetensorsTensor> tensors;
  for (const auto& [name, parameter] : parameters) {
    const std::vector<std::string> theirs = their_names(family, name);
    const Shape& whole = parameter->whole_shape();
    std::vector<int64_t> shape(whole.begin(), whole.end());
    shape[0] /= static_cast<int64_t>(theirs.size());
    const std::span<const std::byte> bytes = std::as_bytes(parameter->value.span<const float>());
    const size_t each = bytes.size() / theirs.size();
    for (size_t i = 0; i < theirs.size(); ++i) {
      tensors.push_back(
          {full_name(family, theirs[i]), DType::kF32, shape, bytes.subspan(i * each, each)});
    }
  }
  make_directories(files, folder);
  for (const auto& [file, content] : other_files) {
    write_file_atomically(files, join_path(folder, file), content);
  }
  write_safetensors_folder(files, folder, tensors);
  write_file_atomically(files, join_path(folder, "config.json"),
                        dump_json(config_json(config), 2) + "\n");
}

}  // namespace heddle
