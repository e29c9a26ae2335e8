// The options of verbs that run a model.
#pragma once

#include <memory>
#include <string>

#include "launcher/program.h"
#include "trainer/served_model.h"

namespace heddle {

struct ModelOptions {
  std::string path;
  int tensor = 1;

  void add_to(CLI::App& verb);
  // The ranks of this job.
  Mesh mesh(Session& session) const { return {session.world(), {.tensor = tensor}}; }
};

}  // namespace heddle
