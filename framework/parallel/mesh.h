// The one place that turns ranks into coordinates.
//
//   Mesh mesh(world, {.data = 2, .tensor = 4});
//   mesh.data().size();            // ranks that hold different samples of the same parameters
//   Classifier model(config, mesh.group(4));
//
// Ranks of one tensor group are neighbours: rank = data coordinate * tensor + tensor coordinate.
#pragma once

#include <memory>

#include "framework/comm/communicator.h"
#include "framework/parallel/group.h"

namespace heddle {

struct MeshSize {
  int data = 0;  // 0: as many as there are ranks for
  int tensor = 1;
};

class Mesh {
 public:
  // Floats that a tensor group sums at a time.
  static constexpr int64_t kWindow = 1 << 20;

  // All ranks share the work by data.
  Mesh(Communicator& world) : Mesh(world, {}) {}  // NOLINT: ranks alone are the simplest mesh
  // `world`, not owned, must outlive the mesh. Collective. Error(kInput) unless data * tensor ranks
  // are there.
  Mesh(Communicator& world, MeshSize size);

  const MeshSize& size() const { return size_; }
  Communicator& world() const { return world_; }
  // Rank 0 of all: who writes files.
  bool is_root() const { return world_.rank() == 0; }
  // The ranks with this rank's shard of the parameters, one for each share of the batch.
  Communicator& data() const { return data_ ? *data_ : world_; }
  // The ranks that hold the shards of one copy of the parameters.
  Communicator& tensor() const { return *tensor_; }

  // For the layers of a model whose arithmetic is cut into `parts`, a multiple of the size of
  // tensor(). Collective. Error(kInput) if it is none.
  Group group(int parts, Stream stream = Stream::kWhole) const;

 private:
  Communicator& world_;
  MeshSize size_;
  std::unique_ptr<Communicator> data_;  // null: the world
  std::unique_ptr<Communicator> tensor_;
};

}  // namespace heddle
