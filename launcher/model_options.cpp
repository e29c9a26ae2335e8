#include "launcher/model_options.h"

namespace heddle {

void TensorOption::add_to(CLI::App& verb, const std::string& others) {
  verb.add_option("--tensor", ranks, "ranks that share each matrix of the model; " + others)
      ->check(whole_number(1, 65536))
      ->capture_default_str();
}

void ModelOptions::add_to(CLI::App& verb) {
  verb.add_option("MODEL", path, "a run, a checkpoint or a Hugging Face folder")->required();
  tensor.add_to(verb, "others share rows");
}

}  // namespace heddle
