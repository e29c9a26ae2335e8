// Runs the built `heddle` as a person does: by a shell, alone or under mpirun, and sees what comes
// of it.
//
//   const Outcome outcome = run_heddle("train missing.yaml", {.ranks = 2});
//   EXPECT_EQ(outcome.code, 64);
//   Background job("train config.yaml");
//   job.send(SIGUSR1);
//   EXPECT_EQ(job.wait(), 75);
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace heddle {

struct Outcome {
  int code = -1;  // 128 + signal if one ended the shell
  std::string out, err;
  double seconds = 0;
};

struct Under {
  int ranks = 0;  // 0: no mpirun
};

// A shell command; what it writes is taken apart into `out` and `err`.
Outcome run_shell(const std::string& command);

// The command line of `heddle ARGUMENTS`, with what MPI needs on one machine.
std::string heddle_command(const std::string& arguments, const Under& under = {});

Outcome run_heddle(const std::string& arguments, const Under& under = {});

// heddle ARGUMENTS in the background, ended with SIGKILL if it is still there at the end. What it
// writes goes to `log`.
class Background {
 public:
  Background(const std::string& arguments, const std::string& log, const Under& under = {});
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // To the started process: heddle itself, or mpirun.
  void send(int signal) const;

  // The heddle processes of this job: this one, or mpirun's children.
  std::vector<pid_t> ranks() const;

  // The exit code, or 128 + the signal.
  int wait();

 private:
  pid_t pid_ = -1;
};

// True if `path` holds `text` before `seconds` have passed.
bool appears(const std::string& path, const std::string& text, double seconds);

std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);

}  // namespace heddle
