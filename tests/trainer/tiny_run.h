// Small runs through the trainer library: what the tests of this folder share.
//
//   const Scratch scratch;
//   const Config config = tiny_config(scratch, "run", {"training.steps=12"});
//   const Trained trained = train_on(2, config);        // ranks as threads
//   expect_equal_runs(scratch.path("run"), other);
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "framework/comm/threads.h"
#include "framework/io/file_system.h"
#include "trainer/trainer.h"

namespace heddle {

// A fresh folder, removed at the end.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::string& path() const { return path_; }
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  // Writes a file and returns its path.
  std::string write(const std::string& name, const std::string& content) const;

 private:
  std::string path_;
};

std::string tokenizer_path();

// `rows` lines "text\tlabel" behind a header: labels a and b, told by a word; lengths differ.
std::string labelled_rows(int rows, int first = 0);

// The YAML of a run into `output` on train.tsv (45 rows) and dev.tsv (13 rows), which are written
// if they are not there: a BERT of 2 layers of 32, 12 steps of 7 rows, everything logged.
std::string tiny_yaml(const Scratch& scratch, const std::string& output);
Config tiny_config(const Scratch& scratch, const std::string& output,
                   const std::vector<std::string>& assignments = {});

// A Hugging Face folder of such a model, made in `scratch`. The values of the parameter `poisoned`
// are so large that no step is finite.
std::string starting_folder(const Scratch& scratch, const std::string& name,
                            const std::string& poisoned = "");

struct TrainOptions {
  std::string resume = "auto";
  int stop_after = 0;  // steps, on the last rank alone; 0: never
  int threads = 1;
  FileSystem* files = nullptr;  // default: the operating system's
};

struct Trained {
  TrainOutcome outcome = TrainOutcome::kNothingToDo;
  std::string console;  // of rank 0
};

Trained train_on(int ranks, const Config& config, const TrainOptions& options = {});

// All losses and hashes equal, and as many as given.
void expect_equal_runs(const std::string& a, const std::string& b, int64_t steps);

// The message, hint and exit code of the Error that `body` throws.
struct Caught {
  std::string what = "no error";
  std::string hint;
  ExitCode code = ExitCode::kDone;
};
Caught caught(const std::function<void()>& body);

// A part of `text` that a message must have.
testing::AssertionResult has(const std::string& text, const std::string& part);

}  // namespace heddle
