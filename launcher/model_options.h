// The options of verbs that run a model.
#pragma once

#include <memory>
#include <string>

#include "launcher/program.h"
#include "trainer/served_model.h"

namespace heddle {

// How the ranks of the job share a model.
struct TensorOption {
  int ranks = 1;

  // `others` ends the help: what ranks do that hold the same part of the model.
  void add_to(CLI::App& verb, const std::string& others);
  Mesh mesh(Session& session) const { return {session.world(), {.tensor = ranks}}; }
};

struct ModelOptions {
  std::string path;
  TensorOption tensor;
  std::string precision;  // "": what the model was trained in; "auto": what all ranks are fast at

  void add_to(CLI::App& verb);
  // All but --precision.
  void add_model_to(CLI::App& verb);
  // Collective where the precision is auto.
  LoadOptions load(const Mesh& mesh) const;
  // The model. Warns if this processor is slow at its precision, and says what `auto` has become.
  std::unique_ptr<ServedModel> load_model(Session& session, const LoadOptions& options) const;
  // The ranks of this job.
  Mesh mesh(Session& session) const { return tensor.mesh(session); }
};

}  // namespace heddle
