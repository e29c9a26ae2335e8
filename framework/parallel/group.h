// The ranks that share one layer: how many, and which of them this one is. Layers take global sizes
// and a group; a group of one holds whole tensors.
#pragma once

namespace heddle {

struct Group {
  int size = 1;
  int index = 0;
};

}  // namespace heddle
