#include "trainer/features.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "datasets/row_writer.h"
#include "framework/comm/collectives.h"
#include "framework/core/nearest_name.h"
#include "framework/io/hdf5_file.h"
#include "framework/ops/gather_rows.h"
#include "trainer/row_windows.h"
#include "trainer/shared_input.h"

namespace heddle {
namespace {

const std::vector<std::string> kPoolings = {"cls", "mean", "last", "none"};

// Vectors and the rows they belong to, to a file.
class FeatureSink {
 public:
  virtual ~FeatureSink() = default;
  virtual void add(int64_t row, std::span<const float> vector) = 0;
  virtual void finish() = 0;
};

class JsonlSink : public FeatureSink {
 public:
  JsonlSink(FileSystem& files, const std::string& path) : out_(files, path, {"row", "features"}) {}

  void add(int64_t row, std::span<const float> vector) override {
    out_.integer(row);
    out_.json(fmt::format("[{}]", fmt::join(vector, ",")));
    out_.end_row();
  }
  void finish() override { out_.finish(); }

 private:
  RowWriter out_;
};

class Hdf5Sink : public FeatureSink {
 public:
  Hdf5Sink(FileSystem& files, const std::string& path, int64_t vectors, int64_t width)
      : files_(files), path_(path), part_(path + ".part"), width_(width) {
    remove_tree(files, part_);
    out_.emplace(files, part_);
    out_->create("features", DType::kF32, {vectors, width});
    out_->create("row", DType::kI64, {vectors});
    out_->seal();
  }

  void add(int64_t row, std::span<const float> vector) override {
    rows_.push_back(row);
    values_.insert(values_.end(), vector.begin(), vector.end());
    if (values_.size() >= kBuffered) flush();
  }
  void finish() override {
    flush();
    out_->close();
    files_.rename(part_, path_);
    files_.sync_directory(parent_path(path_));
  }

 private:
  static constexpr size_t kBuffered = size_t{1} << 20;

  void flush() {
    out_->write_rows("features", written_, std::as_bytes(std::span(values_)));
    out_->write_rows("row", written_, std::as_bytes(std::span(rows_)));
    written_ += static_cast<int64_t>(rows_.size());
    rows_.clear();
    values_.clear();
  }

  FileSystem& files_;
  std::string path_, part_;
  int64_t width_;
  std::optional<Hdf5Writer> out_;
  std::vector<float> values_;
  std::vector<int64_t> rows_;
  int64_t written_ = 0;
};

// The hidden state after layer `layer`.
Tensor hidden_state(const Encoder& encoder, const Batch& batch, int64_t layer) {
  if (layer < 0 || layer == static_cast<int64_t>(encoder.layers.size())) return encoder(batch);
  return encoder.hidden_states(batch)[static_cast<size_t>(layer)];
}

Tensor pooled(const Tensor& hidden, const Segments& segments, FeaturePooling pooling) {
  switch (pooling) {
    case FeaturePooling::kCls:
      return first_rows(hidden, segments);
    case FeaturePooling::kMean:
      return mean_rows(hidden, segments);
    case FeaturePooling::kLast:
      return last_rows(hidden, segments);
    case FeaturePooling::kNone:
      return hidden;
  }
  return hidden;
}

class Extraction {
 public:
  Extraction(const ServedModel& served, const FeatureOptions& options, const Device& device,
             const Mesh& mesh)
      : served_(served), options_(options), device_(device), mesh_(mesh) {}

  // Calls visit(row, vector) on rank 0 for every vector, in input order; returns their number on
  // every rank. Without a model run if `count_only`.
  int64_t run(bool count_only, const std::function<void(int64_t, std::span<const float>)>& visit) {
    BadRows bad(options_.skip_bad);
    ExampleReader examples(with_shared_input(options_.input, mesh_), bad);
    RowWindows windows(examples, row_tokenizers(served_.tokenizer, served_.text.encode_options())(),
                       bad);
    int64_t row = 0, vectors = 0;
    for (; windows.next(); row += windows.rows()) {
      if (options_.pooling == FeaturePooling::kNone) {
        vectors += tokens(windows, count_only, row, visit);
      } else {
        vectors += windows.rows();
        if (!count_only) rows(windows, row, visit);
      }
    }
    return vectors;
  }

 private:
  void rows(const RowWindows& windows, int64_t first,
            const std::function<void(int64_t, std::span<const float>)>& visit) {
    const int64_t width = served_.config.hidden_size;
    const std::vector<float> outputs = sequence_outputs(
        {.width = width,
         .run =
             [&](const Batch& batch) {
               return pooled(hidden_state(served_.model.encoder, batch, options_.layer),
                             batch.segments, options_.pooling);
             }},
        device_, windows.sequences(), mesh_);
    if (!mesh_.is_root()) return;
    const std::vector<float> means = windows.mean_by_row(outputs, width);
    for (int64_t r = 0; r < windows.rows(); ++r) {
      visit(first + r,
            std::span(means).subspan(static_cast<size_t>(r * width), static_cast<size_t>(width)));
    }
  }

  // One vector a token: as many outputs a sequence as the longest of the window has tokens.
  int64_t tokens(const RowWindows& windows, bool count_only, int64_t first,
                 const std::function<void(int64_t, std::span<const float>)>& visit) {
    const SequenceSource source = windows.sequences();
    int64_t total = 0, longest = 0;
    for (int64_t i = 0; i < source.count; ++i) {
      total += source.length(i);
      longest = std::max(longest, source.length(i));
    }
    if (count_only) return total;
    const int64_t width = served_.config.hidden_size;
    const std::vector<float> outputs = sequence_outputs(
        {.width = longest * width,
         .run =
             [&](const Batch& batch) {
               const Tensor hidden = hidden_state(served_.model.encoder, batch, options_.layer);
               const Tensor wide = Tensor::zeros({batch.sequences(), longest * width});
               for (int64_t s = 0; s < batch.sequences(); ++s) {
                 std::ranges::copy(
                     hidden.rows(batch.segments.begin(s), batch.segments.end(s)).span<float>(),
                     wide.data<float>() + s * longest * width);
               }
               return wide;
             }},
        device_, source, mesh_);
    if (!mesh_.is_root()) return total;
    for (int64_t r = 0; r < windows.rows(); ++r) {
      const auto [begin, end] = windows.sequences_of(r);
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t t = 0; t < source.length(i); ++t) {
          visit(first + r,
                std::span(outputs).subspan(static_cast<size_t>((i * longest + t) * width),
                                           static_cast<size_t>(width)));
        }
      }
    }
    return total;
  }

  const ServedModel& served_;
  const FeatureOptions& options_;
  const Device& device_;
  const Mesh& mesh_;
};

}  // namespace

FeaturePooling feature_pooling(const std::string& name) {
  const auto found = std::ranges::find(kPoolings, name);
  if (found == kPoolings.end()) {
    throw Error(ExitCode::kInput, fmt::format("--pooling {}: there is no such pooling", name),
                did_you_mean(name, kPoolings));
  }
  return static_cast<FeaturePooling>(found - kPoolings.begin());
}

int64_t extract_features(FileSystem& files, const ServedModel& served,
                         const FeatureOptions& options, const Device& device, const Mesh& mesh) {
  const auto layers = static_cast<int64_t>(served.model.encoder.layers.size());
  if (options.layer < -1 || options.layer > layers) {
    throw Error(ExitCode::kInput,
                fmt::format("--layer {}: the model has layers 0 to {}", options.layer, layers));
  }
  const bool hdf5 = options.output.ends_with(".h5") || options.output.ends_with(".hdf5");
  if (!hdf5 && !options.output.ends_with(".jsonl")) {
    throw Error(ExitCode::kInput,
                fmt::format("{}: features are written as .h5 or .jsonl", options.output));
  }
  Extraction extraction(served, options, device, mesh);
  std::unique_ptr<FeatureSink> sink;
  // A file of contiguous arrays needs to know their size before: the rows are read twice.
  if (hdf5 && std::ranges::count(options.input.paths, "-") > 0) {
    throw Error(ExitCode::kInput, "features of standard input are written as .jsonl, not .h5",
                "an HDF5 file needs to know the number of rows before the first is written");
  }
  if (hdf5 && mesh.is_root()) {
    const int64_t vectors = extraction.run(true, {});
    sink = std::make_unique<Hdf5Sink>(files, options.output, vectors, served.config.hidden_size);
  } else if (mesh.is_root()) {
    sink = std::make_unique<JsonlSink>(files, options.output);
  }
  const int64_t vectors =
      extraction.run(false, [&](int64_t row, std::span<const float> v) { sink->add(row, v); });
  if (sink) sink->finish();
  return vectors;
}

}  // namespace heddle
