// The part of a run's config that says what a step is. See schema.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trainer/config/field.h"
#include "trainer/config/values.h"

namespace heddle {

// Exactly one of `size` and `tokens` is set in a config that was read.
struct BatchConfig {
  std::optional<std::int64_t> size;
  std::optional<std::int64_t> tokens;
  std::int64_t micro_tokens = 8192;

  template <class F>
  void visit(F& f) {
    f("size", size,
      Field("sequences in one step of the whole job, whatever the number of ranks; "
            "32 if neither size nor tokens is given")
          .at_least(1)
          .at_most(1 << 24)
          .unit("sequences")
          .example("32")
          .also_called({"batch_size", "train_batch_size", "per_device_train_batch_size"}));
    f("tokens", tokens,
      Field("instead of size: as many sequences as fit into this many tokens")
          .at_least(1)
          .at_most(1 << 30)
          .unit("tokens"));
    f("micro_tokens", micro_tokens,
      Field("tokens that go through the model at once; a larger batch is accumulated")
          .at_least(16)
          .at_most(1 << 30)
          .unit("tokens")
          .also_called({"gradient_accumulation_steps", "micro_batch_size"}));
  }
  bool operator==(const BatchConfig&) const = default;
};

// Parameters whose name matches get a rate or a decay of their own.
struct ParameterGroup {
  std::string match;
  std::optional<double> lr;
  std::optional<double> weight_decay;

  template <class F>
  void visit(F& f) {
    f("match", match,
      Field("names of parameters; * stands for any letters").required().example("\"head.*\""));
    f("lr", lr,
      Field("peak learning rate of these parameters; ~: the optimizer's")
          .at_least(0)
          .at_most(100)
          .also_called({"learning_rate"}));
    f("weight_decay", weight_decay,
      Field("weight decay of these parameters; ~: the optimizer's").at_least(0).at_most(10));
  }
  bool operator==(const ParameterGroup&) const = default;
};

struct OptimizerConfig {
  std::string name = "adamw";
  double lr = 5e-5;
  std::vector<double> betas{0.9, 0.999};
  double eps = 1e-8;
  double momentum = 0;
  double weight_decay = 0.01;
  double clip = 1.0;
  std::vector<ParameterGroup> groups;

  template <class F>
  void visit(F& f) {
    f("name", name, Field("the optimizer").one_of({"adamw", "sgd"}).also_called({"optim", "type"}));
    f("lr", lr,
      Field("peak learning rate").above(0).at_most(100).also_called({"learning_rate", "rate"}));
    f("betas", betas,
      Field("adamw: how much of the moving averages of gradient and square stays in a step")
          .at_least(0)
          .below(1)
          .length(2));
    f("eps", eps,
      Field("adamw: added to the root of the average square")
          .above(0)
          .at_most(1)
          .also_called({"epsilon", "adam_epsilon"}));
    f("momentum", momentum, Field("sgd: how much of the last step stays").at_least(0).below(1));
    f("weight_decay", weight_decay,
      Field("decoupled weight decay, times the learning rate; never on biases and norms")
          .at_least(0)
          .at_most(10)
          .also_called({"decay", "wd"}));
    f("clip", clip,
      Field("largest norm of the whole gradient; 0: no clipping")
          .at_least(0)
          .also_called({"max_grad_norm", "grad_clip", "clip_norm"}));
    f("groups", groups,
      Field("parameters with values of their own; the first group that matches counts"));
  }
  bool operator==(const OptimizerConfig&) const = default;
};

struct ScheduleConfig {
  std::string name = "linear";
  StepsOrShare warmup{.percent = 6};
  double end = 0;
  StepsOrShare decay{.percent = 10};

  template <class F>
  void visit(F& f) {
    f("name", name,
      Field("how the learning rate goes on after the warm-up")
          .one_of({"linear", "cosine", "constant", "inverse_sqrt", "wsd"})
          .also_called({"lr_scheduler_type", "scheduler", "type"}));
    f("warmup", warmup,
      Field("how long the learning rate rises from 0 to its peak")
          .also_called({"warmup_ratio", "warmup_steps"}));
    f("end", end,
      Field("linear, cosine, wsd: the last learning rate as a part of the peak")
          .at_least(0)
          .at_most(1)
          .also_called({"min_lr", "min_lr_ratio"}));
    f("decay", decay, Field("wsd: how long the learning rate falls at the end"));
  }
  bool operator==(const ScheduleConfig&) const = default;
};

}  // namespace heddle
