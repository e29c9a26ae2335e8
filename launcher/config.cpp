// heddle config --describe: every key of a run's YAML.
#include <memory>

#include "launcher/program.h"
#include "trainer/config/describe.h"
#include "trainer/config/yaml.h"

namespace heddle {

void add_config(Program& program) {
  struct Options {
    bool describe = false;
    std::string file;
    std::vector<std::string> assignments;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.verb("config", "Every key of a run's YAML, or a file with all its values.",
                   "heddle config --describe");
  verb->add_flag("--describe", options->describe, "print every key, its default and its meaning");
  verb->add_option("FILE", options->file, "check this YAML file and print it with all defaults");
  verb->add_option("--set", options->assignments, "key.path=value, wins over the file; repeatable")
      ->expected(1)
      ->take_all();
  program.on_run(verb, [options](Session& session) {
    if (options->describe == !options->file.empty()) {
      throw Error(ExitCode::kInput, "config: give either --describe or FILE",
                  "heddle config --help shows how it is used");
    }
    session.print(options->describe
                      ? describe()
                      : to_yaml(read_config(session.files(), options->file, options->assignments)));
    return ExitCode::kDone;
  });
}

}  // namespace heddle
