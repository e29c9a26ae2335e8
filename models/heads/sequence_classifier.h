// One output vector for each sequence, from the hidden state of its first token.
//
//   bert:        out(dropout(tanh(dense(h))))
//   distilbert:  out(dropout(relu(dense(h))))
//   electra:     out(dropout(gelu(dense(dropout(h)))))
#pragma once

#include "framework/nn/linear.h"
#include "models/batch.h"
#include "models/config.h"

namespace heddle {

struct SequenceClassifier : Module {
  explicit SequenceClassifier(const ClassifierConfig& config);

  // hidden [T, H] -> logits [S, outputs].
  Tensor operator()(const Tensor& hidden, const Batch& batch) const;
  void visit(Visitor& v) override;

  Linear dense;
  Linear out;
  float dropout;
  bool drops_input;  // ELECTRA
};

}  // namespace heddle
