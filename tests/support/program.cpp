#include "tests/support/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

namespace heddle {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int exit_code(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Outcome run_shell(const std::string& command) {
  std::string folder = std::filesystem::temp_directory_path() / "heddle-program-XXXXXX";
  if (!mkdtemp(folder.data())) return {};
  const auto start = Clock::now();
  const int status = std::system(
      fmt::format("({}) > {}/out 2> {}/err < /dev/null", command, folder, folder).c_str());
  Outcome outcome{.code = exit_code(status), .out = {}, .err = {}, .seconds = seconds_since(start)};
  outcome.out = read_text(folder + "/out");
  outcome.err = read_text(folder + "/err");
  std::filesystem::remove_all(folder);
  return outcome;
}

std::string heddle_command(const std::string& arguments, const Under& under) {
  const std::string environment = fmt::format(
      ". {}/launcher/mpi_environment; export OMP_NUM_THREADS=1; exec ", HEDDLE_SOURCE_DIR);
  const std::string mpirun = under.ranks > 0 ? fmt::format("mpirun -n {} ", under.ranks) : "";
  return environment + mpirun + HEDDLE_BINARY_DIR "/bin/heddle " + arguments;
}

Outcome run_heddle(const std::string& arguments, const Under& under) {
  const std::string command = heddle_command(arguments, under);
  Outcome outcome = run_shell(command);
  // On a busy machine Open MPI's mpirun may crash at its own end, when the job is over.
  if (outcome.err.find("PMIx_server_finalize") != std::string::npos) outcome = run_shell(command);
  return outcome;
}

Background::Background(const std::string& arguments, const std::string& log, const Under& under) {
  const std::string command = heddle_command(arguments, under);
  pid_ = fork();
  if (pid_ != 0) return;
  const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  dup2(file, 1);
  dup2(file, 2);
  execl("/bin/bash", "bash", "-c", command.c_str(), nullptr);
  _exit(127);
}

Background::~Background() {
  if (pid_ <= 0) return;
  for (const pid_t rank : ranks()) kill(rank, SIGKILL);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Background::send(int signal) const {
  kill(pid_, signal);
}

std::vector<pid_t> Background::ranks() const {
  std::vector<pid_t> children;
  std::istringstream list(read_text(fmt::format("/proc/{}/task/{}/children", pid_, pid_)));
  for (pid_t child; list >> child;) {
    // mpirun has helpers of its own.
    if (read_text(fmt::format("/proc/{}/comm", child)) == "heddle\n") children.push_back(child);
  }
  return children;
}

int Background::wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return exit_code(status);
}

bool appears(const std::string& path, const std::string& text, double seconds) {
  const auto start = Clock::now();
  while (seconds_since(start) < seconds) {
    if (read_text(path).find(text) != std::string::npos) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace heddle
