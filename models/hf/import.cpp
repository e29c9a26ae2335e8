#include "models/hf/import.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "framework/nn/arena.h"
#include "framework/nn/shard.h"
#include "models/hf/tensor_names.h"

namespace heddle {
namespace {

// Elements of a tensor that are read before its pages are given back.
constexpr int64_t kElementsAtOnce = 1 << 20;

// Elements [first, first + count) of a tensor.
void convert_to_f32(const SafetensorsEntry& entry, size_t first, size_t count, float* to) {
  const size_t size = static_cast<size_t>(size_of(entry.dtype));
  const std::byte* bytes = entry.bytes.data() + first * size;
  if (entry.dtype == DType::kF32) {
    std::memcpy(to, bytes, count * size);
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    uint16_t half;
    std::memcpy(&half, bytes + i * size, sizeof half);
    to[i] = entry.dtype == DType::kBF16 ? bf16_to_f32(half) : f16_to_f32(half);
  }
}

// The shard's place in the whole tensor, if its elements lie together there too.
std::optional<ShardRun> only_run(const Parameter& parameter) {
  std::optional<ShardRun> only;
  int64_t runs = 0;
  for_each_run(parameter, [&](ShardRun run) {
    only = run;
    ++runs;
  });
  return runs == 1 ? only : std::nullopt;
}

// Older files call the gain and shift of a norm gamma and beta.
std::string older_spelling(std::string name) {
  const auto replace_end = [&](std::string_view end, std::string_view by) {
    if (name.ends_with(end)) name.replace(name.size() - end.size(), end.size(), by);
  };
  replace_end("LayerNorm.weight", "LayerNorm.gamma");
  replace_end("LayerNorm.bias", "LayerNorm.beta");
  return name;
}

class Importer {
 public:
  Importer(std::shared_ptr<const SafetensorsFile> source, const ClassifierConfig& config,
           const ImportOptions& options)
      : source_(std::move(source)),
        family_(family_named(config.family, "model")),
        options_(options) {}

  ImportReport run(const NamedParameters& parameters) {
    std::map<std::string, std::vector<std::string>> located;
    std::vector<Found> found;
    for (const auto& [name, parameter] : parameters) {
      // Once for all shards of a tensor.
      const auto [parts, is_new] = located.try_emplace(name);
      if (is_new) parts->second = locate(name, *parameter);
      found.push_back({name, parameter, parts->second});
    }
    sort_out_the_rest();
    if (!problems_.empty()) fail();
    for (const Found& f : found) {
      if (f.parts.empty())
        start_afresh(f);
      else
        fill(f);
    }
    return std::move(report_);
  }

 private:
  // A parameter of ours and the tensors that make it; none if it starts afresh.
  struct Found {
    std::string name;
    Parameter* parameter;
    std::vector<std::string> parts;
  };

  // The tensor's name in this file: of the whole classifier, of the encoder alone, or older.
  std::string find(const std::string& theirs) const {
    for (const std::string& name : {full_name(family_, theirs), theirs}) {
      if (source_->contains(name)) return name;
      if (source_->contains(older_spelling(name))) return older_spelling(name);
    }
    return "";
  }

  // The tensors that make this parameter, if all are there and fit; notes what is wrong otherwise.
  std::vector<std::string> locate(const std::string& ours, const Parameter& parameter) {
    const Shape& whole = parameter.whole_shape();
    const bool may_lack = is_head(ours) && options_.fresh_head_allowed;
    const std::vector<std::string> theirs = their_names(family_, ours);
    std::vector<std::string> found;
    for (const std::string& name : theirs) {
      const std::string there = find(name);
      if (there.empty()) {
        if (!may_lack) problems_.push_back(fmt::format("missing: {}", full_name(family_, name)));
        continue;
      }
      used_.insert(there);
      std::vector<int64_t> expected(whole.begin(), whole.end());
      expected[0] /= static_cast<int64_t>(theirs.size());
      const SafetensorsEntry& tensor = source_->at(there);
      const bool is_float = tensor.dtype == DType::kF32 || tensor.dtype == DType::kBF16 ||
                            tensor.dtype == DType::kF16;
      if (is_float && tensor.shape == expected) {
        found.push_back(there);
      } else if (may_lack) {
        report_.dropped.push_back(there);
      } else {
        problems_.push_back(fmt::format("{}: {} [{}]. Expected f32, bf16 or f16 [{}]", there,
                                        name_of(tensor.dtype), fmt::join(tensor.shape, ", "),
                                        fmt::join(expected, ", ")));
      }
    }
    if (found.size() != theirs.size()) found.clear();
    return found;
  }

  // Tensors that nothing took: another head's are dropped, buffers passed over, others refused.
  void sort_out_the_rest() {
    for (const std::string& name : source_->names()) {
      if (used_.contains(name) || name.ends_with("embeddings.position_ids") ||
          name.ends_with("embeddings.token_type_ids")) {
        continue;
      }
      const bool other_head = std::ranges::any_of(
          family_.other_heads, [&](const std::string& head) { return name.starts_with(head); });
      if (other_head)
        report_.dropped.push_back(name);
      else
        problems_.push_back(fmt::format("unexpected: {}", name));
    }
  }

  [[noreturn]] void fail() const {
    constexpr size_t kShown = 8;
    std::string list;
    for (size_t i = 0; i < std::min(problems_.size(), kShown); ++i) list += "\n  " + problems_[i];
    if (problems_.size() > kShown)
      list += fmt::format("\n  and {} more", problems_.size() - kShown);
    throw Error(ExitCode::kInput,
                fmt::format("{}: the tensors are not those of a {} classifier:{}",
                            source_->paths().front(), family_.model_type, list),
                hint());
  }

  std::string hint() const {
    for (const std::string& name : family_names()) {
      if (name == family_.model_type) continue;
      const std::string& prefix = family_named(name, "model").prefix;
      if (std::ranges::any_of(source_->names(),
                              [&](const std::string& n) { return n.starts_with(prefix); })) {
        return fmt::format("the tensors look like {}; config.json says {}", name,
                           family_.model_type);
      }
    }
    const bool only_heads = std::ranges::all_of(problems_, [](const std::string& p) {
      return p.find("classifier") != std::string::npos || p.find("pooler") != std::string::npos;
    });
    if (only_heads) return "the head is missing or of another size: fine-tune the model first";
    return "config.json and the weights must be of one model";
  }

  void start_afresh(const Found& found) {
    Parameter& parameter = *found.parameter;
    if (!parameter.value.defined()) parameter.value = Tensor::empty(parameter.shape());
    initialize(found.name, parameter, options_.seed);
    if (std::ranges::find(report_.fresh, found.name) == report_.fresh.end()) {
      report_.fresh.push_back(found.name);
    }
  }

  void fill(const Found& found) const {
    Parameter& parameter = *found.parameter;
    const SafetensorsEntry& first = source_->at(found.parts.front());
    const bool aligned = reinterpret_cast<uintptr_t>(first.bytes.data()) % sizeof(float) == 0;
    if (!parameter.value.defined() && found.parts.size() == 1 && first.dtype == DType::kF32 &&
        aligned) {
      if (const std::optional<ShardRun> run = only_run(parameter)) {
        const auto part = first.bytes.subspan(static_cast<size_t>(run->whole) * sizeof(float),
                                              static_cast<size_t>(run->count) * sizeof(float));
        parameter.value = Tensor::view_read_only(source_->hold(found.parts.front(), part),
                                                 parameter.shape(), DType::kF32);
        return;
      }
    }
    if (!parameter.value.defined()) parameter.value = Tensor::empty(parameter.shape());
    if (parameter.value.device().is_meta()) return;
    const int64_t each = parameter.whole_shape().numel() / static_cast<int64_t>(found.parts.size());
    float* to = parameter.value.data<float>();
    int64_t released = 0;  // all before it
    for_each_run(parameter, [&](ShardRun run) {
      while (run.count > 0) {  // a run may go on in the next tensor
        const int64_t begin = run.whole % each;
        const int64_t count = std::min({run.count, each - begin, kElementsAtOnce});
        const std::string& part = found.parts[static_cast<size_t>(run.whole / each)];
        convert_to_f32(source_->at(part), static_cast<size_t>(begin), static_cast<size_t>(count),
                       to + run.local);
        require_finite(part, {to + run.local, static_cast<size_t>(count)});
        run = {run.local + count, run.whole + count, run.count - count};
        // A slice of columns comes by every page of the tensor.
        if (run.whole - released < kElementsAtOnce) continue;
        source_->release(part);
        released = run.whole;
      }
    });
    for (const std::string& part : found.parts) source_->release(part);
  }

  void require_finite(const std::string& tensor, std::span<const float> values) const {
    bool finite = true;
    for (const float value : values) finite &= std::isfinite(value);
    if (finite) return;
    throw Error(ExitCode::kNoData,
                fmt::format("{}: the tensor '{}' holds a value that is not finite",
                            source_->paths().front(), tensor),
                "the file is damaged, or the training that made it diverged");
  }

  std::shared_ptr<const SafetensorsFile> source_;
  const Family& family_;
  ImportOptions options_;
  std::set<std::string> used_;
  std::vector<std::string> problems_;
  ImportReport report_;
};

}  // namespace

ImportReport import_weights(const std::shared_ptr<const SafetensorsFile>& source,
                            const ClassifierConfig& config, const NamedParameters& parameters,
                            const ImportOptions& options) {
  return Importer(source, config, options).run(parameters);
}

}  // namespace heddle
