// Standard input for all ranks: a launcher hands it to rank 0 alone.
#pragma once

#include "datasets/examples.h"
#include "framework/parallel/mesh.h"

namespace heddle {

// `source`, of which "-" is read on rank 0 and passed on as it comes. Reading it is then
// collective: every rank must take the same rows between the same other calls. `mesh` outlives the
// readers.
DataSource with_shared_input(DataSource source, const Mesh& mesh);

}  // namespace heddle
