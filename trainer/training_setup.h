// From a config to what a run works on: model, tokenizer, task, data.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/epoch_sampler.h"
#include "datasets/tokenized_dataset.h"
#include "framework/comm/communicator.h"
#include "framework/nn/arena.h"
#include "trainer/config/schema.h"
#include "trainer/served_model.h"
#include "trainer/tasks/sequence_classification.h"

namespace heddle {

// What config.precision says; for `auto`, what this processor is best at. (A run decides once, for
// all its ranks: trainer.cpp.)
Precision configured_precision(const Config& config);

// The files and columns of a part of the data; columns that `part` does not name are those of
// `train`.
DataSource data_source(const DataFileConfig& part, const DataFileConfig& train);

// The model before its first step.
struct TrainingModel {
  ClassifierConfig config;
  TextSettings text;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::optional<SequenceClassification> task;
  std::unique_ptr<Classifier> model;
  std::unique_ptr<ParameterArena> arena;
  std::vector<std::string> notes;         // what a user should know: a fresh head, dropped tensors
  std::vector<std::string> source_files;  // of weights, that it started from
};

// What the model of a run is, without its parameters: `model` and `arena` stay null.
TrainingModel describe_training_model(FileSystem& files, const Config& config);

// Marks what config.model.train says as trainable.
void mark_trainable(const TrainedPart& part, int64_t layers, const ParameterArena& arena);

// Whether what is between the matrices is split over a tensor group.
Stream stream_of(const ParallelConfig& parallel);

// Builds the model and fills its parameters: from a folder, run or checkpoint, or at random. Marks
// what config.model.train says as trainable.
TrainingModel make_training_model(FileSystem& files, const Config& config, const Device& device,
                                  const Group& group = {});

// How the batches of a run are drawn.
SamplerOptions sampler_options(const Config& config, int64_t leaves);

// The rows of one part of the data, as the model reads them.
TokenizedSource tokenized_source(const Config& config, const TrainingModel& model,
                                 const DataFileConfig& part);

struct TrainingData {
  TokenizedDataset train;
  std::optional<TokenizedDataset> validation, test;
  // "train" -> hash of contents and settings.
  std::vector<std::pair<std::string, std::string>> keys;
};

// Tokenizes what is not in `cache_folder` yet (on rank 0) and opens it everywhere. Collective.
TrainingData open_training_data(FileSystem& files, const Config& config, const TrainingModel& model,
                                const std::string& cache_folder, ThreadPool& pool,
                                Communicator& world);

}  // namespace heddle
