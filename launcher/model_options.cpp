#include "launcher/model_options.h"

#include "trainer/precision_choice.h"

namespace heddle {

void TensorOption::add_to(CLI::App& verb, const std::string& others) {
  verb.add_option("--tensor", ranks, "ranks that share each matrix of the model; " + others)
      ->check(whole_number(1, 65536))
      ->capture_default_str();
}

void ModelOptions::add_model_to(CLI::App& verb) {
  verb.add_option("MODEL", path, "a run, a checkpoint or a Hugging Face folder")->required();
  tensor.add_to(verb, "others share rows");
}

void ModelOptions::add_to(CLI::App& verb) {
  add_model_to(verb);
  verb.add_option(
          "--precision", precision,
          "of the layers: f32, bf16, int8, or auto: bf16 where the processor is fast at it, "
          "else f32; default: what the run was trained in")
      ->check(CLI::IsMember({"f32", "bf16", "int8", "auto"}));
}

LoadOptions ModelOptions::load(const Mesh& mesh) const {
  LoadOptions options{.mesh = &mesh};
  if (precision == "auto") {
    options.precision = fastest_safe_precision(mesh.world());
    options.or_f32 = true;
  } else if (!precision.empty()) {
    options.precision = precision_from_name(precision);
  }
  return options;
}

std::unique_ptr<ServedModel> ModelOptions::load_model(Session& session,
                                                      const LoadOptions& options) const {
  auto served = load_served_model(session.files(), path, options);
  const Precision taken = served->config.precision;
  if (precision == "auto") session.note(fmt::format("precision auto: {}", name_of(taken)));
  if (const auto slow = slow_precision(taken)) session.warn(*slow);
  return served;
}

}  // namespace heddle
