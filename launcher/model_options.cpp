#include "launcher/model_options.h"

namespace heddle {

void ModelOptions::add_to(CLI::App& verb) {
  verb.add_option("MODEL", path, "a run, a checkpoint or a Hugging Face folder")->required();
  verb.add_option("--tensor", tensor,
                  "ranks that share each matrix of the model; others share rows")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

}  // namespace heddle
