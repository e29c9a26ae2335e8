#include "trainer/run_folder.h"

namespace heddle {

RunState RunFolder::read_state(FileSystem& files) const {
  return read_run_state(files, state_file());
}

void RunFolder::write_state(FileSystem& files, const RunState& state) const {
  write_file_atomically(files, state_file(), dump_json(to_json(state), 2) + "\n");
}

}  // namespace heddle
