// heddle VERB …: starts the ranks' environment, runs the verb, and is the one place where an error
// becomes a message and an exit code.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "framework/comm/mpi_environment.h"
#include "framework/device/allocator.h"
#include "framework/device/cpu_features.h"
#include "launcher/profiled_run.h"
#include "launcher/program.h"

namespace heddle {
namespace {

struct Failure {
  ExitCode code;
  std::string text;
};

Failure describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    std::string text = e.what();
    if (!e.hint().empty()) text += "\n  " + e.hint();
    return {e.code(), text};
  } catch (const OutOfMemory& e) {
    return {ExitCode::kInput,
            fmt::format("{}\n  a smaller batch.micro_tokens, more ranks that share "
                        "the model, or a higher --memory-limit, may help",
                        e.what())};
  } catch (const std::bad_alloc&) {
    return {ExitCode::kInput,
            "out of memory\n  a smaller batch.micro_tokens, or more ranks, may help"};
  } catch (const std::exception& e) {
    return {ExitCode::kInternal, fmt::format("internal error: {}", e.what())};
  }
}

// Rank 0 speaks at once. A rank whose error is everyone's is ended by then; one that fails alone
// speaks for itself.
void report(const Failure& failure, int rank, int ranks) {
  if (ranks == 1) {
    fmt::print(stderr, "heddle: {}\n", failure.text);
    return;
  }
  if (rank != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  fmt::print(stderr, "[rank {}/{}] heddle: {}\n", rank, ranks, failure.text);
}

// A file that is opened later must not become the standard output that a shell has closed (>&-):
// what is printed would go into it. These refuse to be read, or written, as closed ones do.
void hold_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0) continue;
    [[maybe_unused]] const int held =
        ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

// Throws Error(kInput) for a variable of ours with a value that nobody knows.
void require_known_environment() {
  try {
    max_isa();
  } catch (const std::invalid_argument& error) {
    throw Error(ExitCode::kInput, error.what());
  }
}

int run(int argc, char** argv) {
  hold_standard_streams();
  const Launch launch = detect_launch([](const char* name) { return std::getenv(name); });
  const bool first = launch.rank == 0;
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error with a message
  Program program;
  try {
    require_known_environment();
    if (!program.parse(argc, argv, first)) return 0;
  } catch (...) {
    // Before MPI is there: all ranks fail alike, and one says why.
    const Failure failure = describe(std::current_exception());
    if (first) fmt::print(stderr, "heddle: {}\n", failure.text);
    return static_cast<int>(failure.code);
  }

  std::unique_ptr<MpiEnvironment> environment;
  std::unique_ptr<Communicator> world;
  Failure failure;
  try {
    environment = std::make_unique<MpiEnvironment>();
    world = environment->world();
    Session session(*world, program.common());
    std::optional<ProfiledRun> profile;
    if (!program.common().profile.empty()) profile.emplace(session, program.common().profile);
    const ExitCode code = program.run()(session);
    if (profile) profile->finish();
    // A rank that has nothing to do waits here for one that may still fail: mpirun may crash or
    // hang if a rank aborts the job while others are leaving MPI.
    world->barrier("end of the job");
    return static_cast<int>(code);
  } catch (...) {
    failure = describe(std::current_exception());
  }
  const int ranks = world ? world->size() : 1;
  report(failure, world ? world->rank() : 0, ranks);
  std::fflush(nullptr);
  if (ranks > 1) world->abort(static_cast<int>(failure.code));
  return static_cast<int>(failure.code);
}

}  // namespace
}  // namespace heddle

int main(int argc, char** argv) {
  return heddle::run(argc, argv);
}
