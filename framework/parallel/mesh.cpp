#include "framework/parallel/mesh.h"

#include <algorithm>

#include "framework/comm/single.h"
#include "framework/core/error.h"

namespace heddle {

Mesh::Mesh(Communicator& world, MeshSize size) : world_(world), size_(size) {
  check(size.data >= 0 && size.tensor >= 1,
        "[mesh] data {} x tensor {}. Expected 1 or more of each.", size.data, size.tensor);
  if (size_.data == 0) size_.data = std::max(1, world.size() / size.tensor);
  if (size_.data * size_.tensor != world.size()) {
    const int needed = size_.data * size_.tensor;
    throw Error(ExitCode::kInput,
                fmt::format("parallel.data: {} x parallel.tensor: {} needs {} ranks; there are {}",
                            size_.data, size_.tensor, needed, world.size()),
                world.size() % size_.tensor == 0
                    ? fmt::format("start with mpirun -n {}, or set parallel.data: {}", needed,
                                  world.size() / size_.tensor)
                    : fmt::format("start with mpirun -n {}", needed));
  }
  if (size_.tensor == 1) {
    tensor_ = make_single();
    return;
  }
  const int tensor = world.rank() % size_.tensor;
  const int data = world.rank() / size_.tensor;
  data_ = world.split(tensor, data);
  tensor_ = world.split(data, tensor);
}

Group Mesh::group(int parts, Stream stream) const {
  if (parts < 1 || parts % size_.tensor != 0) {
    throw Error(ExitCode::kInput,
                fmt::format("{} tensor-parallel ranks cannot share {} slices (numerics.tensor)",
                            size_.tensor, parts),
                "a run keeps the number of slices it started with; use as many ranks or a divisor "
                "of it as parallel.tensor");
  }
  if (size_.tensor == 1) return {1, 0, parts};
  return {size_.tensor, tensor_->rank(), parts,
          std::make_shared<TreeReducer>(*tensor_, kWindow, TreeReducerOptions{.canonical = false}),
          stream};
}

}  // namespace heddle
