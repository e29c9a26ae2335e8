#include "trainer/run_lock.h"

#include <unistd.h>

#include <thread>

#include "framework/comm/collectives.h"

namespace heddle {
namespace {

constexpr std::chrono::milliseconds kBetweenTries{100};

std::string this_process() {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  return fmt::format("process {} on {}", ::getpid(), host);
}

}  // namespace

RunLock::RunLock(FileSystem& files, Communicator& world, const RunFolder& folder,
                 std::chrono::milliseconds patience) {
  // Said to all ranks, so that none reads the folder before it is this job's.
  std::string failure;
  ExitCode code = ExitCode::kInput;
  std::string hint = "wait until it has ended, or set another `output`";
  if (world.rank() == 0) {
    try {
      if (files.exists(folder.path()) && !files.is_directory(folder.path())) {
        failure = fmt::format("output: {}: is a file", folder.path());
        hint = "name a folder; it is made if it is not there";
      } else {
        make_directories(files, folder.path());
        const std::string holder = take(folder, patience);
        if (!holder.empty()) {
          failure =
              fmt::format("{}: another training job is writing there: {}", folder.path(), holder);
        }
      }
    } catch (const Error& error) {
      failure = error.what();
      code = error.code();
      hint = error.hint();
    }
  }
  failure = broadcast_text(world, failure, 0, "run lock");
  if (failure.empty()) return;
  code = broadcast(world, code, 0, "run lock");
  hint = broadcast_text(world, hint, 0, "run lock");
  throw Error(code, failure, hint);
}

std::string RunLock::take(const RunFolder& folder, std::chrono::milliseconds patience) {
  lock_ = std::make_unique<FileLock>(folder.lock_file());
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!lock_->take(this_process() + "\n")) {
    if (!lock_->obstacle().empty()) {
      warnings_.push_back(fmt::format("{}: not locked: {}; start no second job there",
                                      folder.lock_file(), lock_->obstacle()));
      return "";
    }
    if (std::chrono::steady_clock::now() >= until) {
      const std::string holder = lock_->holder();
      return holder.empty() ? "a process that says no name" : holder;
    }
    std::this_thread::sleep_for(kBetweenTries);
  }
  return "";
}

}  // namespace heddle
