// The files of a run folder (see also log/run_state.h and log/report_input.h).
#pragma once

#include <string>
#include <string_view>

#include "framework/io/file_system.h"
#include "trainer/log/run_state.h"

namespace heddle {

class RunFolder {
 public:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string state_file() const { return join_path(path_, "run.json"); }
  std::string config_file() const { return join_path(path_, "config.yaml"); }
  std::string lock_file() const { return join_path(path_, "run.lock"); }
  std::string log_file() const { return join_path(path_, "log.jsonl"); }
  std::string test_file() const { return join_path(path_, "test.json"); }
  std::string test_predictions_file() const { return join_path(path_, "test_predictions.jsonl"); }
  std::string checkpoints() const { return join_path(path_, "checkpoints"); }
  std::string cache() const { return join_path(path_, "cache"); }

  // Whether a run has been started there.
  bool has_run(FileSystem& files) const { return files.exists(state_file()); }
  RunState read_state(FileSystem& files) const;
  void write_state(FileSystem& files, const RunState& state) const;

 private:
  std::string path_;
};

}  // namespace heddle
