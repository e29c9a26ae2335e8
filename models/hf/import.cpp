#include "models/hf/import.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "models/hf/tensor_names.h"

namespace heddle {
namespace {

void convert_to_f32(const SafetensorsEntry& entry, float* to) {
  const std::byte* bytes = entry.bytes.data();
  const size_t size = static_cast<size_t>(size_of(entry.dtype));
  const size_t count = entry.bytes.size() / size;
  if (entry.dtype == DType::kF32) {
    std::memcpy(to, bytes, entry.bytes.size());
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    uint16_t half;
    std::memcpy(&half, bytes + i * size, sizeof half);
    to[i] = entry.dtype == DType::kBF16 ? bf16_to_f32(half) : f16_to_f32(half);
  }
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
  Importer(const SafetensorsFile& source, const ClassifierConfig& config, const ImportOptions& options)
      : source_(source), family_(family_named(config.family, "model")), options_(options) {}

  ImportReport run(const ParameterArena& arena) {
    std::vector<const ParameterArena::Entry*> fresh;
    for (const ParameterArena::Entry& entry : arena.entries()) {
      const std::vector<std::string> parts = locate(entry);
      if (!parts.empty())
        sources_.emplace_back(&entry, parts);
      else if (is_head(entry.name) && options_.fresh_head_allowed)
        fresh.push_back(&entry);
    }
    sort_out_the_rest();
    if (!problems_.empty()) fail();
    for (const auto& [entry, parts] : sources_) fill(*entry, parts);
    for (const ParameterArena::Entry* entry : fresh) {
      initialize(*entry, options_.seed);
      report_.fresh.push_back(entry->name);
    }
    return std::move(report_);
  }

 private:
  // The tensor's name in this file: of the whole classifier, of the encoder alone, or older.
  std::string find(const std::string& theirs) const {
    for (const std::string& name : {full_name(family_, theirs), theirs}) {
      if (source_.contains(name)) return name;
      if (source_.contains(older_spelling(name))) return older_spelling(name);
    }
    return "";
  }

  // The tensors that make this parameter, if all are there and fit; notes what is wrong otherwise.
  std::vector<std::string> locate(const ParameterArena::Entry& entry) {
    const Shape& whole = entry.parameter->whole_shape();
    const bool may_lack = is_head(entry.name) && options_.fresh_head_allowed;
    const std::vector<std::string> theirs = their_names(family_, entry.name);
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
      const SafetensorsEntry& tensor = source_.at(there);
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
    for (const std::string& name : source_.names()) {
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
                            source_.paths().front(), family_.model_type, list),
                hint());
  }

  std::string hint() const {
    for (const std::string& name : family_names()) {
      if (name == family_.model_type) continue;
      const std::string& prefix = family_named(name, "model").prefix;
      if (std::ranges::any_of(source_.names(),
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

  static void fill_part(const SafetensorsFile& source, const std::string& name, float* to) {
    convert_to_f32(source.at(name), to);
    source.release(name);
  }

  void fill(const ParameterArena::Entry& entry, const std::vector<std::string>& parts) const {
    const Tensor& value = entry.parameter->value;
    if (value.device().is_meta()) return;
    const int64_t each = value.numel() / static_cast<int64_t>(parts.size());
    for (size_t i = 0; i < parts.size(); ++i) {
      fill_part(source_, parts[i], value.data<float>() + static_cast<int64_t>(i) * each);
    }
  }

  const SafetensorsFile& source_;
  const Family& family_;
  ImportOptions options_;
  std::vector<std::pair<const ParameterArena::Entry*, std::vector<std::string>>> sources_;
  std::set<std::string> used_;
  std::vector<std::string> problems_;
  ImportReport report_;
};

}  // namespace

ImportReport import_weights(const SafetensorsFile& source, const ClassifierConfig& config,
                            const ParameterArena& arena, const ImportOptions& options) {
  return Importer(source, config, options).run(arena);
}

}  // namespace heddle
