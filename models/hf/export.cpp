#include "models/hf/export.h"

#include <algorithm>
#include <deque>
#include <vector>

#include "framework/io/safetensors.h"
#include "framework/nn/shard.h"
#include "models/hf/config.h"
#include "models/hf/tensor_names.h"

namespace heddle {
namespace {

struct WholeTensor {
  std::string name;
  Shape shape;
  std::span<const float> values;
};

// Whole tensors in the order of their first shards; those of several shards are put together in
// `assembled`.
std::vector<WholeTensor> whole_tensors(const NamedParameters& parameters,
                                       std::deque<std::vector<float>>& assembled) {
  std::vector<std::string> names;
  std::map<std::string, std::vector<const Parameter*>> shards;
  for (const auto& [name, parameter] : parameters) {
    std::vector<const Parameter*>& of_name = shards[name];
    if (of_name.empty()) names.push_back(name);
    of_name.push_back(parameter);
  }
  std::vector<WholeTensor> tensors;
  for (const std::string& name : names) {
    const std::vector<const Parameter*>& parts = shards[name];
    const Shape& whole = parts.front()->whole_shape();
    if (parts.front()->shape() == whole) {
      tensors.push_back({name, whole, parts.front()->value.span<const float>()});
      continue;
    }
    std::vector<float>& values = assembled.emplace_back(static_cast<size_t>(whole.numel()));
    int64_t held = 0;
    for (const Parameter* part : parts) {
      const float* from = part->value.data<const float>();
      for_each_run(*part, [&](ShardRun run) {
        std::copy_n(from + run.local, run.count, values.begin() + run.whole);
        held += run.count;
      });
    }
    check(held == whole.numel(), "[export_folder] {} of {} elements of '{}'. Expected all.", held,
          whole.numel(), name);
    tensors.push_back({name, whole, values});
  }
  return tensors;
}

}  // namespace

void export_folder(FileSystem& files, const std::string& folder, const ClassifierConfig& config,
                   const NamedParameters& parameters,
                   const std::map<std::string, std::string>& other_files) {
  const Family& family = family_named(config.family, "model");
  std::vector<SafetensorsTensor> tensors;
  std::deque<std::vector<float>> assembled;
  for (const WholeTensor& tensor : whole_tensors(parameters, assembled)) {
    const std::vector<std::string> theirs = their_names(family, tensor.name);
    const Shape& whole = tensor.shape;
    std::vector<int64_t> shape(whole.begin(), whole.end());
    shape[0] /= static_cast<int64_t>(theirs.size());
    const std::span<const std::byte> bytes = std::as_bytes(tensor.values);
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
