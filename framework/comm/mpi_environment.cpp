#include "framework/comm/mpi_environment.h"

#include <mpi.h>

#include <cstdlib>
#include <exception>
#include <utility>

#include "framework/comm/mpi_communicator.h"
#include "framework/comm/single.h"
#include "framework/core/error.h"

namespace heddle {
namespace {

int number(const char* text) {
  return text ? std::atoi(text) : 0;
}

// What OpenMPI should be told when all ranks are on one node, unless the user has chosen: messages
// through shared memory without probing for networks or for single copy (refused in containers),
// and yielding cores while waiting (with more ranks than cores 6 us for a small all-reduce, not 5
// ms).
void set_single_node_defaults() {
  constexpr std::pair<const char*, const char*> kDefaults[] = {
      {"OMPI_MCA_pml", "ob1"},
      {"OMPI_MCA_btl", "self,vader,tcp"},
      {"OMPI_MCA_btl_vader_single_copy_mechanism", "none"},
      {"OMPI_MCA_mpi_yield_when_idle", "1"},
  };
  for (const auto& [name, value] : kDefaults) setenv(name, value, 0);
}

}  // namespace

Launch detect_launch(const std::function<const char*(const char*)>& variable) {
  if (const int ranks = number(variable("OMPI_COMM_WORLD_SIZE")); ranks > 0) {
    return {Launch::By::kMpirun, ranks, number(variable("OMPI_COMM_WORLD_LOCAL_SIZE")),
            number(variable("OMPI_COMM_WORLD_RANK"))};
  }
  const int ranks = number(variable("SLURM_STEP_NUM_TASKS"));
  if (ranks > 0 && variable("SLURM_PROCID")) {
    const int nodes = number(variable("SLURM_STEP_NUM_NODES"));
    return {Launch::By::kSrun, ranks, nodes == 1 ? ranks : 0, number(variable("SLURM_PROCID"))};
  }
  if (const int hydra_ranks = number(variable("PMI_SIZE")); hydra_ranks > 0) {
    return {Launch::By::kMpirun, hydra_ranks, 0, number(variable("PMI_RANK"))};
  }
  return {};
}

MpiEnvironment::MpiEnvironment() : launch_(detect_launch(std::getenv)) {
  if (launch_.ranks == 1) return;
  if (launch_.node_ranks == launch_.ranks) set_single_node_defaults();
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size != launch_.ranks) {
    MPI_Finalize();
    throw Error(
        ExitCode::kInput,
        fmt::format("{} started {} processes, but MPI sees a job of {}",
                    launch_.by == Launch::By::kSrun ? "srun" : "mpirun", launch_.ranks, size),
        "start with the mpirun of the OpenMPI that heddle was built with, or with srun "
        "--mpi=pmix");
  }
}

MpiEnvironment::~MpiEnvironment() {
  if (launch_.ranks > 1 && std::uncaught_exceptions() == 0) MPI_Finalize();
}

std::unique_ptr<Communicator> MpiEnvironment::world() const {
  return launch_.ranks == 1 ? make_single() : make_mpi_world();
}

}  // namespace heddle
