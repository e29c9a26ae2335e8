// Verbs that a later version has.
#include "launcher/program.h"

namespace heddle {

void add_planned(Program& program) {
  const std::pair<const char*, const char*> planned[] = {
      {"generate", "Text from a language model (not yet)."}};
  for (const auto& [name, what] : planned) {
    CLI::App* verb = program.verb(name, what, std::string("heddle ") + name + " …");
    verb->allow_extras()->fallthrough(false);
    program.on_run(verb, [name = std::string(name)](Session&) -> ExitCode {
      throw Error(ExitCode::kInput, fmt::format("{}: not yet", name),
                  "this version trains and serves sequence classifiers");
    });
  }
}

}  // namespace heddle
