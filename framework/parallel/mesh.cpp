#include "framework/parallel/mesh.h"

#include "framework/comm/single.h"
#include "framework/core/error.h"

namespace heddle {

Mesh::Mesh(Communicator& world, MeshSize size)
    : world_(world), size_(size), tensor_(make_single()) {
  check(size.data >= 0 && size.tensor >= 1,
        "[mesh] data {} x tensor {}. Expected 1 or more of each.", size.data, size.tensor);
  if (size.tensor > 1) {
    throw Error(ExitCode::kInput, fmt::format("parallel.tensor: {}: not yet", size.tensor),
                "set parallel.tensor: 1; ranks then share the work by data");
  }
  if (size_.data == 0) size_.data = world.size();
  if (size_.data != world.size()) {
    throw Error(ExitCode::kInput,
                fmt::format("parallel.data: {} x parallel.tensor: {} needs {} ranks; there are {}",
                            size_.data, size_.tensor, size_.data * size_.tensor, world.size()),
                fmt::format("start with mpirun -n {}, or set parallel.data: {}",
                            size_.data * size_.tensor, world.size()));
  }
}

}  // namespace heddle
