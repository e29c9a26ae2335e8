// The command line: one verb a file.
//
//   void add_tokenize(Program& program) {
//     auto options = std::make_shared<Options>();
//     CLI::App* verb = program.verb("tokenize", "Text to token ids.", "heddle tokenize M 'a'");
//     verb->add_option("MODEL", options->model, "…")->required();
//     program.on_run(verb, [options](Session& session) { …; return ExitCode::kDone; });
//   }
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "launcher/session.h"

namespace heddle {

// For options that are bytes, such as '16 GiB'.
CLI::Validator as_bytes();
// For shares, such as 0.1%, which become numbers from 0 to 1.
CLI::Validator as_share();
// For whole numbers within bounds that a person can read.
CLI::Validator whole_number(int64_t least, int64_t most);

class Program {
 public:
  using Run = std::function<ExitCode(Session& session)>;

  Program();

  // A new verb with the common options; `example` ends its help.
  CLI::App* verb(const std::string& name, const std::string& what, const std::string& example);
  // What to do if the command line names this verb.
  void on_run(CLI::App* verb, Run run);

  // Reads the command line; false if it asked for help, which is printed (on one rank). Throws
  // Error(kInput) with the nearest verb or option for a mistake.
  bool parse(int argc, const char* const* argv, bool print);

  const CommonOptions& common() const { return common_; }
  const Run& run() const { return run_; }

 private:
  // Help or the version. Throws FileError if it cannot be written.
  void show(const CLI::Error& asked_for) const;
  [[noreturn]] void explain(const CLI::ParseError& error, int argc, const char* const* argv) const;

  CLI::App app_;
  CommonOptions common_;
  Run run_;
};

void add_train(Program& program);
void add_evaluate(Program& program);
void add_predict(Program& program);
void add_features(Program& program);
void add_bench(Program& program);
void add_tokenize(Program& program);
void add_import(Program& program);
void add_export(Program& program);
void add_inspect(Program& program);
void add_verify(Program& program);
void add_diff(Program& program);
void add_report(Program& program);
void add_config(Program& program);
void add_plan(Program& program);
void add_planned(Program& program);  // verbs that are not there yet

}  // namespace heddle
