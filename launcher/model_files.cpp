// heddle import | export: Hugging Face folder <-> checkpoint.
#include <memory>

#include "launcher/model_options.h"
#include "launcher/program.h"
#include "trainer/convert.h"

namespace heddle {

void add_import(Program& program) {
  struct Options {
    std::string folder, output;
    TensorOption tensor;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.verb("import", "A Hugging Face folder as a checkpoint.",
                   "heddle import models/pretrained/minilm -o checkpoints/minilm\n"
                   "  mpirun -n 4 heddle import models/large -o checkpoints/large --tensor 4");
  verb->add_option("FOLDER", options->folder, "config.json, model.safetensors, tokenizer files")
      ->required();
  verb->add_option("-o,--output", options->output, "a folder that does not exist yet")->required();
  options->tensor.add_to(*verb, "others share the writing");
  program.on_run(verb, [options](Session& session) {
    session.note(import_folder(session.files(), options->folder, options->output,
                               options->tensor.mesh(session)));
    return ExitCode::kDone;
  });
}

void add_export(Program& program) {
  struct Options {
    std::string model, output;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.verb(
      "export", "A trained model as a folder that Hugging Face's from_pretrained loads.",
      "heddle export runs/sst2 -o exported");
  verb->add_option("MODEL", options->model, "a run, a checkpoint or a Hugging Face folder")
      ->required();
  verb->add_option("-o,--output", options->output, "the folder to write")->required();
  program.on_run(verb, [options](Session& session) {
    if (session.root()) export_model(session.files(), options->model, options->output);
    session.note(fmt::format("{}: config.json, model.safetensors, tokenizer files, README.md",
                             options->output));
    return ExitCode::kDone;
  });
}

}  // namespace heddle
