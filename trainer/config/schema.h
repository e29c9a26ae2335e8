// The config of a run: what a YAML file of configs/ holds, as plain structs.
//
//   Config config = read_config(files, "configs/sst2.yaml", {});   // yaml.h
//   config.optimizer.lr;                                           // 5e-5
//
// Every struct says in `visit` what its keys are called, mean and may be; parsing, defaults,
// checks, writing back, comparison and configs/reference.yaml come from those lines alone. A
// std::optional that is empty means what its Field says of the word that stands for it (`auto` or
// `~`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trainer/config/field.h"
#include "trainer/config/metric_names.h"
#include "trainer/config/schema_data.h"
#include "trainer/config/schema_model.h"
#include "trainer/config/schema_optimizer.h"
#include "trainer/config/values.h"

namespace heddle {

struct EarlyStopConfig {
  std::optional<std::string> metric;
  std::int64_t patience = 3;

  template <class F>
  void visit(F& f) {
    f("metric", metric,
      Field("metric on the validation data that has to get better; auto: accuracy, micro_f1 "
            "(multi_label) or mse (regression)")
          .one_of(metric_names())
          .empty_word("auto"));
    f("patience", patience,
      Field("evaluations without a better value after which training ends")
          .at_least(1)
          .at_most(1000000)
          .unit("evaluations"));
  }
  bool operator==(const EarlyStopConfig&) const = default;
};

// Exactly one of `epochs` and `steps` is set in a config that was read.
struct TrainingConfig {
  std::optional<std::int64_t> epochs;
  std::optional<std::int64_t> steps;
  std::int64_t log_every = 10;
  Every evaluate_every{.epochs = 1};
  std::optional<EarlyStopConfig> early_stop;
  double label_smoothing = 0;
  bool group_by_length = false;
  std::int64_t max_skipped_steps = 10;

  template <class F>
  void visit(F& f) {
    f("epochs", epochs,
      Field("times that each training row is seen; 3 if neither epochs nor steps is given")
          .at_least(1)
          .at_most(1000000)
          .unit("epochs")
          .example("3")
          .also_called({"num_train_epochs", "num_epochs", "max_epochs"}));
    f("steps", steps,
      Field("instead of epochs: steps of the optimizer")
          .at_least(1)
          .at_most(1e12)
          .unit("steps")
          .also_called({"max_steps", "num_steps"}));
    f("log_every", log_every,
      Field("how often loss and learning rate are logged")
          .at_least(1)
          .unit("steps")
          .also_called({"logging_steps"})
          .harmless());
    f("evaluate_every", evaluate_every,
      Field("how often the validation data are evaluated")
          .also_called({"eval_steps", "eval_every", "evaluation_strategy"}));
    f("early_stop", early_stop,
      Field("ends training when the validation metric has not got better for some time")
          .also_called({"early_stopping"}));
    f("label_smoothing", label_smoothing,
      Field("single_label: share of the target that is spread over all classes")
          .at_least(0)
          .below(1)
          .also_called({"label_smoothing_factor"}));
    f("group_by_length", group_by_length,
      Field("sort rows by length within windows of the shuffled order"));
    f("max_skipped_steps", max_skipped_steps,
      Field("steps with a loss or gradient that is not finite are skipped; after this many in a "
            "row the run ends")
          .at_least(0)
          .unit("steps"));
  }
  bool operator==(const TrainingConfig&) const = default;
};

struct CheckpointConfig {
  Every every{.steps = 500};
  std::int64_t keep = 2;
  std::optional<std::string> best;
  bool async = false;

  template <class F>
  void visit(F& f) {
    f("every", every,
      Field("how often a checkpoint is written; the end of the run writes one in any case")
          .also_called({"save_steps", "save_every"})
          .harmless());
    f("keep", keep,
      Field("checkpoints that stay besides the best; older ones are removed")
          .at_least(1)
          .at_most(1000000)
          .also_called({"save_total_limit"})
          .harmless());
    f("best", best,
      Field("metric on the validation data that names the best checkpoint; auto: as "
            "early_stop.metric")
          .one_of(metric_names())
          .empty_word("auto")
          .also_called({"metric_for_best_model"}));
    f("async", async, Field("write while training goes on, from a copy in memory").harmless());
  }
  bool operator==(const CheckpointConfig&) const = default;
};

struct ParallelConfig {
  std::optional<std::int64_t> data;
  std::int64_t tensor = 1;
  std::int64_t zero = 0;
  bool sequence = false;

  template <class F>
  void visit(F& f) {
    f("data", data,
      Field("groups of ranks that each take a part of the batch; auto: all ranks")
          .at_least(1)
          .at_most(65536)
          .unit("ranks")
          .empty_word("auto")
          .harmless());
    f("tensor", tensor,
      Field("ranks that share each matrix").at_least(1).at_most(65536).unit("ranks").harmless());
    f("zero", zero,
      Field("1: the ranks of data share the optimizer's state (ZeRO-1)")
          .at_least(0)
          .at_most(1)
          .harmless());
    f("sequence", sequence,
      Field("the ranks of tensor also share the rows of what is between the matrices (norms, "
            "dropout, residuals): less memory for activations, the same bits; without effect where "
            "tensor is 1")
          .harmless());
  }
  bool operator==(const ParallelConfig&) const = default;
};

struct NumericsConfig {
  std::string mode = "auto";
  std::int64_t data = 8;
  std::optional<std::int64_t> tensor;

  template <class F>
  void visit(F& f) {
    f("mode", mode,
      Field("canonical: the same bits on any number of ranks; fast: reproducible on one number "
            "of ranks; auto: canonical on CPU")
          .one_of({"auto", "canonical", "fast"}));
    f("data", data,
      Field("leaves into which every batch is cut, a power of two: the largest number of ranks "
            "that canonical arithmetic can use")
          .at_least(1)
          .at_most(65536)
          .unit("leaves"));
    f("tensor", tensor,
      Field("slices of each matrix; auto: as parallel.tensor at the start of the run")
          .at_least(1)
          .at_most(65536)
          .unit("slices")
          .empty_word("auto"));
  }
  bool operator==(const NumericsConfig&) const = default;
};

struct MemoryConfig {
  std::string recompute = "none";

  template <class F>
  void visit(F& f) {
    f("recompute", recompute,
      Field("what the backward pass computes again instead of keeping")
          .one_of({"none", "attention", "layer"})
          .harmless());
  }
  bool operator==(const MemoryConfig&) const = default;
};

struct WatchdogConfig {
  Duration start{.seconds = 300};
  std::optional<Duration> step;

  template <class F>
  void visit(F& f) {
    f("start", start, Field("longest time until the first step").harmless());
    f("step", step,
      Field("longest time of a step; auto: 20 times the median, at least 60 s")
          .empty_word("auto")
          .harmless());
  }
  bool operator==(const WatchdogConfig&) const = default;
};

struct LogConfig {
  std::string console = "auto";
  bool tensorboard = true;
  std::int64_t hash_every = 100;

  template <class F>
  void visit(F& f) {
    f("console", console,
      Field("progress: one moving line; lines: a line every log_every; auto: progress on a "
            "terminal, else lines")
          .one_of({"auto", "progress", "lines", "none"})
          .harmless());
    f("tensorboard", tensorboard, Field("write TensorBoard events into the run folder").harmless());
    f("hash_every", hash_every,
      Field("how often a hash of every parameter is logged, for heddle diff; 0: never")
          .at_least(0)
          .unit("steps")
          .harmless());
  }
  bool operator==(const LogConfig&) const = default;
};

struct VerifyConfig {
  std::int64_t steps = 0;

  template <class F>
  void visit(F& f) {
    f("steps", steps,
      Field("so many steps of each start are done a second time, by each rank alone; the first "
            "module that differs is named")
          .at_least(0)
          .unit("steps")
          .harmless());
  }
  bool operator==(const VerifyConfig&) const = default;
};

struct Config {
  std::string output;
  std::int64_t seed = 42;
  ModelConfig model;
  DataConfig data;
  BatchConfig batch;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  TrainingConfig training;
  CheckpointConfig checkpoint;
  ParallelConfig parallel;
  NumericsConfig numerics;
  std::string precision = "f32";
  MemoryConfig memory;
  WatchdogConfig watchdog;
  LogConfig log;
  VerifyConfig verify;
  std::int64_t replica_check_every = 0;
  std::optional<std::int64_t> threads;

  template <class F>
  void visit(F& f) {
    f("output", output,
      Field("the run folder; a second start goes on where the first one stopped")
          .required()
          .example("runs/example")
          .also_called({"output_dir"})
          .harmless());
    f("seed", seed, Field("of the order of rows, new weights and dropout").at_least(0));
    f("model", model, "what is trained");
    f("data", data, "what it is trained on");
    f("batch", batch, "how many rows go into a step");
    f("optimizer", optimizer, "how a step changes the weights");
    f("schedule", schedule, "how the learning rate changes over the run");
    f("training", training, "how long, and what happens on the way");
    f("checkpoint", checkpoint, "what is saved when");
    f("parallel", parallel, "how ranks share the work");
    f("numerics", numerics, "what the arithmetic is");
    f("precision", precision,
      Field("of activations and matrix products; auto: bf16 where the processor of every rank has "
            "fast products of it, else f32, decided once, when the run starts")
          .one_of({"f32", "bf16", "auto"})
          .planned({"f16"})
          .also_called({"dtype", "fp16", "bf16"}));
    f("memory", memory, "what memory is saved");
    f("watchdog", watchdog, Field("when a rank that does not answer ends the job").harmless());
    f("log", log, Field("what is shown and recorded").harmless());
    f("verify", verify, Field("checks of the parallel arithmetic").harmless());
    f("replica_check_every", replica_check_every,
      Field("how often ranks that hold the same parameters compare them, to find faulty memory; "
            "0: never")
          .at_least(0)
          .unit("steps")
          .harmless());
    f("threads", threads,
      Field("threads of each rank; auto: the cores of the node, shared by its ranks")
          .at_least(1)
          .at_most(4096)
          .empty_word("auto")
          .also_called({"num_threads"})
          .harmless());
  }
  bool operator==(const Config&) const = default;
};

}  // namespace heddle
