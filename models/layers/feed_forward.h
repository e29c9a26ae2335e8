// The position-wise feed-forward network (Vaswani et al. 2017, section 3.3).
//
//   down(activation(up(x)))
#pragma once

#include "framework/parallel/column_linear.h"
#include "framework/parallel/row_linear.h"
#include "models/config.h"

namespace heddle {

struct FeedForward : Module {
  FeedForward(const ClassifierConfig& config, const Group& group)
      : up(config.hidden_size, config.intermediate_size, group,
           {.deviation = config.deviation, .activation = config.activation}),
        down(config.intermediate_size, config.hidden_size, group, {.deviation = config.deviation}) {
  }

  // x [T, H] -> [T, H].
  Tensor operator()(const Tensor& x) const {
    const ProfiledModule span(path);
    return down(up(x));
  }
  void visit(Visitor& v) override {
    v("up", up);
    v("down", down);
  }

  ColumnLinear up;
  RowLinear down;
};

}  // namespace heddle
