// A layer of the encoder with normalisation after each residual (Devlin et al. 2018, BERT).
#pragma once

#include "framework/parallel/stream.h"
#include "models/layers/feed_forward.h"
#include "models/layers/self_attention.h"

namespace heddle {

struct EncoderLayer : Module {
  EncoderLayer(const ClassifierConfig& config, int32_t layer, const Group& group);

  // x [T, H] -> [T, H].
  Tensor operator()(const Tensor& x, const Batch& batch) const;
  void visit(Visitor& v) override;

  SelfAttention attention;
  StreamNorm attention_norm;
  FeedForward feed_forward;
  StreamNorm feed_forward_norm;
  float dropout;
  int32_t layer;
  Recompute recomputed;

 private:
  Tensor run(const Tensor& x, const Batch& batch) const;
};

}  // namespace heddle
