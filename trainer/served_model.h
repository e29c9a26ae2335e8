// A classifier that is ready to predict, wherever it came from.
//
//   std::unique_ptr<ServedModel> served = load_served_model(files, "runs/sst2");
//   const std::vector<std::string> texts = {"a text", "another one"};
//   const NoGrad no_grad;
//   Tensor logits = served->model(served->batch(texts));      // [2, labels]
//
// A path is what is found there: config.json makes it a Hugging Face folder, manifest.json a
// checkpoint, run.json a run, of which its best checkpoint is taken, else its last, else the newest
// that is whole.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "framework/io/file_system.h"
#include "framework/parallel/mesh.h"
#include "models/classifier.h"
#include "models/tokenizers/tokenizer.h"

namespace heddle {

// How texts become token ids; kept with a trained model.
struct TextSettings {
  int64_t max_length = 128;
  std::string truncation = "longest_first";
  int64_t stride = 0;
  // Columns of the data it was trained on: "" if not known.
  std::string text_column, pair_column, label_column;

  EncodeOptions encode_options() const;
};

struct ModelPath {
  enum class Kind : uint8_t { kHuggingFace, kCheckpoint };
  Kind kind;
  std::string path;  // of the folder, or of the checkpoint that was chosen in a run
};

// Throws Error(kInput) that says what was looked for if nothing of the kind is at `path`, and
// Error(kNoData) for a run without a checkpoint.
ModelPath find_model(FileSystem& files, const std::string& path);

struct ServedModel {
  std::string path;  // that it was loaded from
  ClassifierConfig config;
  TextSettings text;
  std::shared_ptr<const Tokenizer> tokenizer;
  Classifier model;
  int slices = 1;  // that its matrices are in, whatever the ranks

  explicit ServedModel(const ClassifierConfig& c, const Group& group = {})
      : config(c), model(c, group), slices(group.parts()) {}

  // The texts as one packed batch, in their order; what is longer than text.max_length is cut off.
  // Throws Error(kInput) for a text that is not UTF-8.
  Batch batch(std::span<const std::string> texts, const Device& device = Device::cpu()) const;
};

struct LoadOptions {
  bool pack = true;                 // for serving; false: keep plain weights (export)
  bool few_rows = false;            // to come: what pays for many only is left out
  bool fresh_head_allowed = false;  // features need no head
  // Whose ranks share the model, if they do. The slices are those it was trained with where the
  // ranks can share them; otherwise one for each rank, and the last bits of an answer may differ.
  const Mesh* mesh = nullptr;
  // None: what a run was trained in, and f32 for a Hugging Face folder.
  std::optional<Precision> precision{};
  // Take f32 where the model cannot compute in `precision` (require_precision), instead of
  // throwing.
  bool or_f32 = false;
};

// Throws Error(kInput) if the model cannot be cut into the group's parts.
void require_slices(const ClassifierConfig& config, const Group& group);

// Throws Error(kInput) if the model cannot compute in that precision in so many slices.
void require_precision(Precision precision, const Group& group);

// Throws Error(kInput) if the tokenizer has ids that the model has no embedding for.
void require_vocabulary(const Tokenizer& tokenizer, const ClassifierConfig& config);

std::unique_ptr<ServedModel> load_served_model(FileSystem& files, const std::string& path,
                                               const LoadOptions& options = {});

// Its tokenizer alone; `path` may also be a tokenizer file or a folder that holds one.
std::shared_ptr<const Tokenizer> load_model_tokenizer(FileSystem& files, const std::string& path);

}  // namespace heddle
