#include "models/hf/export.h"

#include <memory>
#include <vector>

#include "framework/io/safetensors.h"
#include "models/classifier.h"
#include "models/hf/config.h"
#include "models/hf/tensor_names.h"

namespace heddle {
namespace {

// Tensor number `i` of those that the parameter `ours` is made of, to be read when it is written.
// `held` is what was read last.
SafetensorsTensor tensor_of(const std::string& ours, const Shape& whole,
                            const std::vector<std::string>& theirs, size_t i, const ReadPart& read,
                            const std::shared_ptr<Tensor>& held) {
  std::vector<int64_t> shape(whole.begin(), whole.end());
  shape[0] /= static_cast<int64_t>(theirs.size());
  const Shard rows{.dim = 0, .begin = static_cast<int64_t>(i) * shape[0], .extent = shape[0]};
  return {theirs[i], DType::kF32, shape, {}, [=, &read] {
            *held = {};  // before the next takes memory
            Parameter part(whole, {}, rows);
            read(ours, part);
            *held = part.value;
            return std::as_bytes(held->span<const float>());
          }};
}

}  // namespace

ReadPart parts_of(const NamedParameters& parameters) {
  std::map<std::string, const Parameter*> named(parameters.begin(), parameters.end());
  return [named](const std::string& name, Parameter& part) {
    const Parameter& whole = *named.at(name);
    check(whole.shape() == part.whole_shape(), "[export_folder] '{}' has shape {}. Expected {}.",
          name, whole.shape(), part.whole_shape());
    part.value = whole.value.rows(part.shard().begin, part.shard().begin + part.shard().extent);
  };
}

void export_folder(FileSystem& files, const std::string& folder, const ClassifierConfig& config,
                   const ReadPart& read, const std::map<std::string, std::string>& other_files) {
  const Family& family = family_named(config.family, "model");
  Classifier shapes(config);
  const auto held = std::make_shared<Tensor>();
  std::vector<SafetensorsTensor> tensors;
  for (const auto& [name, parameter] : named_parameters(shapes)) {
    std::vector<std::string> theirs = their_names(family, name);
    for (std::string& one : theirs) one = full_name(family, one);
    for (size_t i = 0; i < theirs.size(); ++i) {
      tensors.push_back(tensor_of(name, parameter->whole_shape(), theirs, i, read, held));
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
