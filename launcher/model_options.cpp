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
  verb.add_option("--precision", precision,
                  "of the layers: f32, bf16 or int8; default: what the run was trained in")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}));
}

LoadOptions ModelOptions::load(const Mesh& mesh) const {
  LoadOptions options{.mesh = &mesh};
  if (!precision.empty()) options.precision = precision_from_name(precision);
  return options;
}

}  // namespace heddle
