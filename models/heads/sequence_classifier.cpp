#include "models/heads/sequence_classifier.h"

#include "framework/ops/gather_rows.h"

namespace heddle {
namespace {

constexpr int32_t kInput = 3 << 16;
constexpr int32_t kOutput = 4 << 16;

Activation dense_activation(const ClassifierConfig& config) {
  if (config.family == "distilbert") return Activation::kRelu;
  return config.family == "electra" ? Activation::kGelu : Activation::kTanh;
}

}  // namespace

SequenceClassifier::SequenceClassifier(const ClassifierConfig& config)
    : dense(config.hidden_size, config.hidden_size,
            {.deviation = config.deviation, .activation = dense_activation(config)}),
      out(config.hidden_size, config.outputs(), {.deviation = config.deviation}),
      dropout(config.head_dropout),
      drops_input(config.family == "electra") {}

Tensor SequenceClassifier::operator()(const Tensor& hidden, const Batch& batch) const {
  const ProfiledModule span(path);
  Tensor x = first_rows(hidden, batch.segments);  // [S, H]
  if (drops_input) x = heddle::dropout(x, batch.sequence_dropout(dropout, kInput));
  return out(heddle::dropout(dense(x), batch.sequence_dropout(dropout, kOutput)));
}

void SequenceClassifier::visit(Visitor& v) {
  v("dense", dense);
  v("out", out);
}

}  // namespace heddle
