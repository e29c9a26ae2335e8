// An encoder with a sequence classifier on top: what is fine-tuned, evaluated and served.
//
//   Classifier model(config);
//   ParameterArena arena(model, Device::cpu());
//   initialize(arena, seed);
//   Tensor logits = model(batch);                 // [S, outputs]
#pragma once

#include "models/encoder.h"
#include "models/heads/sequence_classifier.h"

namespace heddle {

struct Classifier : Module {
  explicit Classifier(const ClassifierConfig& config, const Group& group = {})
      : encoder(config, group), head(config) {
    name_modules(*this);
  }

  // Logits [S, outputs].
  Tensor operator()(const Batch& batch) const { return head(encoder(batch), batch); }
  void visit(Visitor& v) override {
    v("encoder", encoder);
    v("head", head);
  }

  // Makes it ready to be served (pack_weights): the encoder in its precision, the head in f32.
  void pack() {
    pack_weights(encoder, encoder.precision);
    pack_weights(head);
  }

  Encoder encoder;
  SequenceClassifier head;
};

}  // namespace heddle
