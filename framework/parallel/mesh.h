// The one place that turns ranks into coordinates.
//
//   Mesh mesh(world, {.data = 2, .tensor = 1});
//   mesh.data().size();   // ranks that hold different samples of the same parameters
//
// Ranks of one tensor group are neighbours: rank = data coordinate * tensor + tensor coordinate.
#pragma once

#include <memory>

#include "framework/comm/communicator.h"

namespace heddle {

struct MeshSize {
  int data = 0;  // 0: as many as there are ranks for
  int tensor = 1;
};

class Mesh {
 public:
  // `world`, not owned, must outlive the mesh. Error(kInput) unless data * tensor ranks are there;
  // tensor above 1: not yet.
  Mesh(Communicator& world, MeshSize size);

  const MeshSize& size() const { return size_; }
  Communicator& world() const { return world_; }
  // The ranks with this rank's shard of the parameters, one for each share of the batch.
  Communicator& data() const { return world_; }
  // The ranks that hold the shards of one copy of the parameters.
  Communicator& tensor() const { return *tensor_; }

 private:
  Communicator& world_;
  MeshSize size_;
  std::unique_ptr<Communicator> tensor_;
};

}  // namespace heddle
