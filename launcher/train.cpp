// heddle train CONFIG.yaml: trains, or goes on with, the run that a YAML file describes.
#include <sys/utsname.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>

#include "framework/comm/hang_report.h"
#include "framework/comm/main_stack.h"
#include "framework/comm/signals.h"
#include "framework/comm/watchdog.h"
#include "launcher/program.h"
#include "trainer/config/yaml.h"
#include "trainer/equal_start.h"
#include "trainer/trainer.h"

namespace heddle {
namespace {

struct Options {
  std::string config;
  std::vector<std::string> assignments;
  std::string resume = "auto";
};

ConsoleOptions console_options(const Session& session, bool root, const Config& config) {
  ConsoleOptions options;
  const std::string& style = config.log.console;
  options.terminal = style == "progress" || (style == "auto" && is_terminal(2));
  options.quiet = session.quiet() || style == "none";
  options.silent = !root;
  options.log_every = config.training.log_every;
  options.columns = [] { return terminal_columns(2); };
  return options;
}

std::map<std::string, std::string> machine_facts() {
  utsname system{};
  uname(&system);
  return {{"processor", processor_name()},
          {"host", system.nodename},
          {"system", fmt::format("{} {}", system.sysname, system.release)}};
}

// All ranks of the node come here within moments of each other.
[[noreturn]] void leave_hung(const Communicator& world, const Watchdog::Silence& silence,
                             const MainStack& stack) {
  alarm(10);  // should even this hang
  std::string report = hang_report(world, silence, &stack);
  if (!silence.called) {
    report += "  watchdog.start and watchdog.step in the config say how long a rank may take\n";
  }
  std::fwrite(report.data(), 1, report.size(), stderr);
  std::fflush(stderr);
  await_other_reports(world);
  std::_Exit(static_cast<int>(ExitCode::kWatchdog));
}

ExitCode train_verb(Session& session, const Options& options) {
  Config config = read_config(session.files(), options.config, options.assignments);
  // --threads wins over the file.
  if (config.threads && !session.threads_given()) {
    session.set_threads(static_cast<int>(*config.threads));
  }
  const StopSignals signals;
  Console console(std::cerr, console_options(session, session.root(), config));
  Communicator& world = session.world();
  require_equal_start(world, config, options.resume);
  const MainStack stack;
  Watchdog watchdog([&](const Watchdog::Silence& silence) { leave_hung(world, silence, stack); },
                    world.board());
  const TrainOutcome outcome = train(config, {options.resume},
                                     {.files = session.files(),
                                      .world = world,
                                      .pool = session.pool(),
                                      .console = console,
                                      .watchdog = &watchdog,
                                      .stop_asked = [&] { return signals.received() != 0; },
                                      .facts = machine_facts()});
  return outcome == TrainOutcome::kStopped ? ExitCode::kRequeue : ExitCode::kDone;
}

}  // namespace

void add_train(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.verb("train", "Train the run that a YAML file describes, or go on with it.",
                   "mpirun -n 2 heddle train configs/sst2.yaml --set optimizer.lr=3e-5");
  verb->add_option("CONFIG", options->config, "YAML file; configs/reference.yaml has every key")
      ->required();
  verb->add_option("--set", options->assignments, "key.path=value, wins over the file; repeatable")
      ->expected(1)
      ->take_all();
  verb->add_option("--resume", options->resume,
                   "auto: go on where the run stopped; never: only into an empty folder; or a "
                   "checkpoint to go on from, or a run, of which it is the newest")
      ->capture_default_str();
  program.on_run(verb, [options](Session& session) { return train_verb(session, *options); });
}

}  // namespace heddle
