// What a verb works with once the command line is read: ranks, threads, files, and where to talk to
// the user.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "framework/comm/communicator.h"
#include "framework/device/device.h"
#include "framework/io/file_system.h"
#include "trainer/log/console.h"

namespace heddle {

// The options that every verb has.
struct CommonOptions {
  std::string device = "auto";  // auto | cpu | cuda
  int threads = 0;              // 0: its part of the cores (threads.h)
  bool quiet = false;
  int64_t memory_limit = 0;  // bytes of each rank's tensors; 0: none
  std::string profile;       // file of the trace; empty: no profile
};

class Session {
 public:
  // Collective. Limits the process's memory, if `options` say so. Throws Error(kInput) for a device
  // that is not there.
  Session(Communicator& world, const CommonOptions& options);

  Communicator& world() { return world_; }
  bool root() const { return world_.rank() == 0; }
  ThreadPool& pool() { return *pool_; }
  // From now on; what is on the device of before must be gone.
  void set_threads(int threads) { pool_ = std::make_unique<ThreadPool>(threads); }
  Device device() { return Device::cpu(pool_.get()); }
  FileSystem& files() { return files_; }
  bool quiet() const { return options_.quiet; }
  // Whether the command line says how many threads a rank has.
  bool threads_given() const { return options_.threads > 0; }

  // Text for the user: on standard output, and on standard error; from rank 0 alone. `print` throws
  // FileError if the text cannot be written.
  void print(const std::string& text) const;
  void note(const std::string& text) const;  // not if --quiet
  void warn(const std::string& text) const;

 private:
  Communicator& world_;
  CommonOptions options_;
  std::unique_ptr<ThreadPool> pool_;
  PosixFileSystem files_;
};

// Name of the processor, as the system gives it, and what HEDDLE_MAX_ISA leaves of it.
std::string processor_name();

}  // namespace heddle
