// MPI, from start to end of a program.
//
//   MpiEnvironment environment;                       // in main, outside of every try block
//   std::unique_ptr<Communicator> world = environment.world();
//   try { run(*world); } catch (const std::exception& e) { print(e); world->abort(70); }
//
// Started alone, MPI is not touched: it costs a tenth of a second. Under mpirun or srun it is
// initialised (MPI_THREAD_FUNNELED) and finalised here. A failure of MPI is Error(kIo) with MPI's
// text. While an exception passes through, nothing collective is called on the way (no
// MPI_Finalize, MPI_Win_free): the other ranks may be elsewhere, and a rank that leaves without
// MPI_Finalize takes the job down.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "framework/comm/communicator.h"

namespace heddle {

// Who started this process, as its environment tells.
struct Launch {
  enum class By { kAlone, kMpirun, kSrun };
  By by = By::kAlone;
  int ranks = 1;       // how many were started
  int node_ranks = 0;  // of these on this node; 0: not known
  int rank = 0;        // which of them this process is
};
// `variable` is std::getenv or a test's stand-in.
Launch detect_launch(const std::function<const char*(const char*)>& variable);

class MpiEnvironment {
 public:
  // Throws Error(kInput) if the launcher started several processes that MPI does not see as one
  // job.
  MpiEnvironment();
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  const Launch& launch() const { return launch_; }
  // All ranks of the job; a single one if this process was started alone. To be destroyed before
  // the environment.
  std::unique_ptr<Communicator> world() const;

 private:
  Launch launch_;
};

}  // namespace heddle
