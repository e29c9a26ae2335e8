#include "tests/golden/check_model.h"

#include <map>
#include <memory>

#include "framework/comm/single.h"
#include "framework/io/json.h"
#include "framework/nn/arena.h"
#include "framework/ops/gather_rows.h"
#include "framework/ops/losses.h"
#include "framework/optim/optimizer.h"
#include "models/classifier.h"
#include "models/hf/config.h"
#include "models/hf/import.h"
#include "models/hf/tensor_names.h"
#include "tests/golden/comparison.h"
#include "tests/golden/golden_batch.h"
#include "trainer/batching.h"

namespace heddle {
namespace {

double norm(std::span<const float> values) {
  double sum = 0;
  for (float v : values) sum += double{v} * v;
  return std::sqrt(sum);
}

// A classifier with its weights, gradients and optimizer.
class Trained {
 public:
  Trained(const std::string& folder, const ImportOptions& options, const ClassifierConfig& config)
      : config_(config), model(config), arena(model, Device::cpu()) {
    PosixFileSystem files;
    const auto source = std::make_shared<SafetensorsFile>(SafetensorsFile::open(files, folder));
    import_weights(source, config, named_parameters(model), options);
    gradients = std::make_unique<GradientArena>(arena, *group_, true);
    optimizer = std::make_unique<Optimizer>(
        arena, *gradients, *group_,
        OptimizerOptions{.group = [](const std::string&, const Parameter& parameter) {
          return OptimizerOptions::Group{.weight_decay = parameter.is_matrix() ? 0.01 : 0.0};
        }});
  }

  // Runs forward and backward; returns the mean loss.
  double pass(const Batch& batch, const SafetensorsFile& golden) {
    gradients->begin(1);
    gradients->begin_pass();
    const Loss loss = loss_of(model(batch), golden);
    backward(loss.sum, Tensor::from<float>(std::vector<float>{1.0f}, {1}));
    gradients->end_pass();
    gradients->all_reduce();
    return loss.value / terms;
  }

  // Their name -> the part of a value or gradient that is theirs.
  using Parts = std::map<std::string, std::vector<float>>;
  Parts values() const {
    Parts parts;
    for (const ParameterArena::Entry& entry : arena.entries()) {
      entry.parameter->apply_pending();
      split(entry, entry.parameter->value.span<float>(), parts);
    }
    return parts;
  }
  // Of the mean loss.
  Parts mean_gradients() const {
    Parts parts;
    for (const GradientArena::Entry& entry : gradients->entries()) {
      std::vector<float> whole(static_cast<size_t>(entry.parameter->numel));
      if (entry.sparse) {
        const SparseRows& rows = gradients->sparse(entry);
        for (size_t i = 0; i < rows.ids.size(); ++i) {
          std::ranges::copy(rows.row(i), whole.begin() + rows.ids[i] * rows.width);
        }
      } else {
        std::ranges::copy(gradients->dense(entry), whole.begin());
      }
      for (float& v : whole) v = static_cast<float>(v / terms);
      split(*entry.parameter, whole, parts);
    }
    return parts;
  }

 private:
  Loss loss_of(const Tensor& logits, const SafetensorsFile& golden) {
    terms = static_cast<double>(logits.dim(0));
    if (config_.problem == Problem::kSingleLabel) {
      std::vector<int32_t> labels;
      for (int64_t label : integers_of(golden, "labels")) {
        labels.push_back(static_cast<int32_t>(label));
      }
      return cross_entropy_sum(logits, Tensor::from<int32_t>(labels, {logits.dim(0)}));
    }
    terms *= static_cast<double>(logits.dim(1));
    const std::vector<float> targets = values_of<float>(golden, "labels");
    const Tensor t = Tensor::from<float>(targets, logits.shape());
    if (config_.problem == Problem::kMultiLabel) {
      return binary_cross_entropy_with_logits_sum(logits, t);
    }
    return squared_error_sum(logits, t);
  }

  void split(const ParameterArena::Entry& entry, std::span<const float> whole, Parts& parts) const {
    const Family& family = family_named(config_.family, "golden");
    const std::vector<std::string> names = their_names(family, entry.name);
    const size_t each = whole.size() / names.size();
    for (size_t i = 0; i < names.size(); ++i) {
      const auto part = whole.subspan(i * each, each);
      parts[full_name(family, names[i])] = {part.begin(), part.end()};
    }
  }

  ClassifierConfig config_;
  std::unique_ptr<Communicator> group_ = make_single();

 public:
  Classifier model;
  ParameterArena arena;
  std::unique_ptr<GradientArena> gradients;
  std::unique_ptr<Optimizer> optimizer;
  double terms = 1;  // that the loss is the mean of
};

// Compares a parameter after training. Where Adam has turned rounding noise into steps, a share of
// the elements may be far off.
void compare_final(Comparison& compare, const std::string& name, std::span<const float> ours,
                   std::span<const float> theirs, double tolerance, const JsonView& unstable) {
  if (!unstable.has(name)) return compare.values("final." + name, ours, theirs, tolerance);
  compare.values("final." + name, ours, theirs, 1e-2);
  int64_t off = 0;
  for (size_t i = 0; i < ours.size(); ++i) off += std::abs(ours[i] - theirs[i]) > 2e-5f;
  compare.note("share of final." + name + " that is off",
               static_cast<double>(off) / static_cast<double>(ours.size()),
               3 * unstable[name].number() + 0.01);
}

// Logits in less precision than the golden ones: they may differ by kRounded of the largest.
constexpr double kRounded = 0.02;

GoldenResult compare_rounded(const Tensor& logits, const std::vector<float>& golden) {
  double largest = 0;
  for (const float logit : golden) largest = std::max(largest, std::abs(double{logit}));
  Comparison compare;
  compare.values("logits", logits.span<float>(), golden, kRounded * largest);
  return compare.result();
}

}  // namespace

GoldenResult check_model(const std::string& folder, Precision precision) {
  PosixFileSystem files;
  std::string golden_folder = folder;
  Json document = read_json(files, join_path(folder, "golden.json"));
  if (document.contains("golden")) {
    golden_folder = join_path(folder, document["golden"].get<std::string>());
    document = read_json(files, join_path(golden_folder, "golden.json"));
  }
  const JsonView expected(document, golden_folder + "/golden.json");
  const SafetensorsFile golden =
      SafetensorsFile::open(files, join_path(golden_folder, "golden.safetensors"));
  const std::string config_path = join_path(folder, "config.json");
  ClassifierConfig config = parse_config(read_json(files, config_path), config_path);
  config.precision = precision;
  Trained trained(folder, {}, config);
  const Batch batch = make_batch(golden_batch(golden), Device::cpu());
  if (precision != Precision::kF32) {
    return compare_rounded(trained.model(batch), values_of<float>(golden, "logits"));
  }
  const JsonView tolerance = expected["tolerance"];
  Comparison compare;

  {
    NoGrad no_grad;
    const std::vector<Tensor> hidden = trained.model.encoder.hidden_states(batch);
    for (size_t i = 0; i < hidden.size(); ++i) {
      const std::string name = "hidden." + std::to_string(i);
      if (!golden.contains(name)) continue;
      compare.values(name, hidden[i].span<float>(), packed_rows(golden, name),
                     tolerance[name].number());
    }
    compare.values("last_hidden_state", hidden.back().span<float>(),
                   packed_rows(golden, "last_hidden_state"),
                   tolerance["last_hidden_state"].number());
    compare.values("logits", trained.model(batch).span<float>(), values_of<float>(golden, "logits"),
                   tolerance["logits"].number());
  }

  const std::vector<std::string> names = golden.names();
  const JsonView losses = expected["trajectory"];
  const JsonView loss_tolerance = expected["trajectory_tolerance"];
  for (size_t step = 0; step < losses.size(); ++step) {
    const double loss = trained.pass(batch, golden);
    const double wanted = losses.at(step).number();
    compare.note("loss " + std::to_string(step), std::abs(loss - wanted),
                 std::max(1e-5 * std::abs(wanted), loss_tolerance.at(step).number()));
    if (step == 0) {
      for (const auto& [name, gradient] : trained.mean_gradients()) {
        if (golden.contains("grad." + name)) {
          compare.values("grad." + name, gradient, values_of<float>(golden, "grad." + name),
                         tolerance["grad." + name].number());
        }
        const double wanted_norm = expected["grad_l2"][name].number();
        compare.note("norm of grad." + name, std::abs(norm(gradient) - wanted_norm),
                     1e-4 * wanted_norm + 1e-6);
      }
    }
    if (step + 1 < losses.size()) trained.optimizer->step(1e-3, 0, trained.terms);
  }
  const JsonView unstable = expected["unstable_final"];
  for (const auto& [name, value] : trained.values()) {
    if (golden.contains("final." + name)) {
      compare_final(compare, name, value, values_of<float>(golden, "final." + name),
                    tolerance["final." + name].number(), unstable);
    }
    const double wanted = expected["final_l2"][name].number();
    compare.note("norm of final." + name, std::abs(norm(value) - wanted),
                 unstable.has(name) ? 1e-2 * std::sqrt(static_cast<double>(value.size()))
                                    : 1e-5 * wanted + 1e-5);
  }
  return compare.result();
}

GoldenResult check_minilm(const std::string& folder, const std::string& weights,
                          Precision precision) {
  PosixFileSystem files;
  const Json document = read_json(files, join_path(folder, "golden.json"));
  const JsonView expected(document, folder + "/golden.json");
  const SafetensorsFile golden =
      SafetensorsFile::open(files, join_path(folder, "golden.safetensors"));
  const std::string config_path = join_path(weights, "config.json");
  ClassifierConfig config = parse_config(read_json(files, config_path), config_path);
  config.labels = {"0", "1", "2"};
  config.problem = Problem::kSingleLabel;
  config.precision = precision;
  Trained trained(weights, {.fresh_head_allowed = true}, config);
  // The golden data's own classifier on the checkpoint's pooler.
  std::ranges::copy(values_of<float>(golden, "classifier.weight"),
                    trained.model.head.out.weight.value.data<float>());
  std::ranges::copy(values_of<float>(golden, "classifier.bias"),
                    trained.model.head.out.bias.value.data<float>());
  const JsonView tolerance = expected["tolerance"];
  Comparison compare;

  const PackedSequences all = golden_batch(golden);
  if (precision == Precision::kF32) {
    NoGrad no_grad;
    const Batch batch = make_batch(all, Device::cpu());
    const Tensor hidden = trained.model.encoder(batch);
    compare.values("first_token", first_rows(hidden, batch.segments).span<float>(),
                   values_of<float>(golden, "first_token"), tolerance["first_token"].number());
    compare.values("mean_pooled", mean_rows(hidden, batch.segments).span<float>(),
                   values_of<float>(golden, "mean_pooled"), tolerance["mean_pooled"].number());
  }
  PackedSequences some;
  for (int64_t row : integers_of(golden, "classification_rows")) {
    const int32_t begin = all.segments[static_cast<size_t>(row)];
    const int32_t end = all.segments[static_cast<size_t>(row) + 1];
    some.add(
        std::span(all.ids).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
        end - begin, row);
  }
  const Batch batch = make_batch(some, Device::cpu());
  const Tensor logits = trained.model(batch);
  if (precision != Precision::kF32) {
    return compare_rounded(logits, values_of<float>(golden, "classification_logits"));
  }
  compare.values("classification_logits", logits.span<float>(),
                 values_of<float>(golden, "classification_logits"),
                 tolerance["classification_logits"].number());

  std::vector<int32_t> labels;
  for (int64_t label : integers_of(golden, "classification_labels")) {
    labels.push_back(static_cast<int32_t>(label));
  }
  trained.terms = static_cast<double>(labels.size());
  trained.gradients->begin(1);
  trained.gradients->begin_pass();
  const Loss loss =
      cross_entropy_sum(trained.model(batch), Tensor::from<int32_t>(labels, {logits.dim(0)}));
  backward(loss.sum, Tensor::from<float>(std::vector<float>{1.0f}, {1}));
  trained.gradients->end_pass();
  trained.gradients->all_reduce();
  const double wanted_loss = expected["loss"].number();
  compare.note("loss", std::abs(loss.value / trained.terms - wanted_loss),
               tolerance["loss"].number());
  const JsonView norms = expected["grad_l2"];
  for (const auto& [name, gradient] : trained.mean_gradients()) {
    if (golden.contains("grad." + name)) {
      compare.values("grad." + name, gradient, values_of<float>(golden, "grad." + name),
                     tolerance["grad"].number());
    }
    const double wanted = norms[name].number();
    compare.note("norm of grad." + name, std::abs(norm(gradient) - wanted), 1e-4 * wanted + 1e-6);
  }
  return compare.result();
}

}  // namespace heddle
