#include "launcher/program.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <iostream>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/core/nearest_name.h"
#include "trainer/planner/machine.h"

namespace heddle {

CLI::Validator as_bytes() {
  const auto to_number = [](std::string& text) {
    const auto size = ByteSize::parse(text);
    if (!size) return fmt::format("{}. Expected {}", text, ByteSize::kForm);
    text = std::to_string(size->bytes);
    return std::string();
  };
  return {to_number, "BYTES"};
}

CLI::Validator as_share() {
  const auto to_number = [](std::string& text) {
    double percent = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, percent);
    if (error != std::errc() || std::string_view(stop, end) != "%" ||
        !(percent >= 0 && percent <= 100)) {
      return fmt::format("{}. Expected a share from 0% to 100%, such as 0.1%", text);
    }
    text = fmt::format("{}", percent / 100);
    return std::string();
  };
  return {to_number, "SHARE"};
}

CLI::Validator whole_number(int64_t least, int64_t most) {
  const auto problem = [=](const std::string& text) {
    int64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && stop == end && number >= least && number <= most) {
      return std::string();
    }
    return fmt::format("{}. Expected a whole number from {} to {}", text, least, most);
  };
  return {problem, fmt::format("{} - {}", least, most)};
}

Program::Program()
    : app_("Heddle trains and serves transformer models across ranks: MPI processes, CPU cores.",
           "heddle") {
  app_.set_version_flag("--version", "heddle " HEDDLE_VERSION);
  app_.require_subcommand(1);
  app_.fallthrough();
  for (const auto add : {add_train, add_evaluate, add_predict, add_features, add_bench,
                         add_tokenize, add_import, add_export, add_inspect, add_verify, add_diff,
                         add_report, add_config, add_plan, add_planned}) {
    add(*this);
  }
}

CLI::App* Program::verb(const std::string& name, const std::string& what,
                        const std::string& example) {
  CLI::App* verb = app_.add_subcommand(name, what);
  verb->footer("Example:\n  " + example);
  verb->add_option("--device", common_.device, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  verb->add_option("--threads", common_.threads,
                   "threads of each rank; 0: the cores of the node, shared by its ranks")
      ->check(CLI::Range(0, 4096));
  verb->add_option(
          "--memory-limit", common_.memory_limit,
          "bytes of each rank's tensors, such as '2 GiB', beyond which it ends; files that "
          "are mapped and the program itself, some 100 MiB, come on top")
      ->transform(as_bytes());
  verb->add_option("--profile", common_.profile,
                   "say where the time went, by op and by module, and write a Chrome trace into "
                   "this file");
  verb->add_flag("--quiet", common_.quiet, "warnings and results only");
  return verb;
}

void Program::on_run(CLI::App* verb, Run run) {
  verb->callback([this, run = std::move(run)] { run_ = run; });
}

bool Program::parse(int argc, const char* const* argv, bool print) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    if (print) show(help);
    return false;
  } catch (const CLI::Success& success) {  // --version
    if (print) show(success);
    return false;
  } catch (const CLI::ParseError& error) {
    explain(error, argc, argv);
  }
  return true;
}

void Program::show(const CLI::Error& asked_for) const {
  app_.exit(asked_for);
  errno = 0;
  if (!std::cout.flush()) throw FileError("standard output", "write", errno != 0 ? errno : EIO);
}

void Program::explain(const CLI::ParseError& error, int argc, const char* const* argv) const {
  std::vector<std::string> verbs;
  const CLI::App* verb = nullptr;
  for (const CLI::App* candidate : app_.get_subcommands(nullptr)) {
    verbs.push_back(candidate->get_name());
    if (argc > 1 && verbs.back() == argv[1]) verb = candidate;
  }
  if (argc < 2) {
    throw Error(ExitCode::kInput, "no verb given", did_you_mean("", verbs));
  }
  if (!verb) {
    throw Error(ExitCode::kInput, fmt::format("unknown verb '{}'", argv[1]),
                did_you_mean(argv[1], verbs));
  }
  std::vector<std::string> options;
  for (const CLI::Option* option : verb->get_options()) {
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  }
  for (int i = 2; i < argc; ++i) {
    const std::string word = std::string(argv[i]).substr(0, std::string_view(argv[i]).find('='));
    if (!word.starts_with("--") || std::ranges::find(options, word) != options.end()) continue;
    throw Error(ExitCode::kInput, fmt::format("{}: unknown option '{}'", verb->get_name(), word),
                did_you_mean(word, options));
  }
  throw Error(ExitCode::kInput, fmt::format("{}: {}", verb->get_name(), error.what()),
              fmt::format("heddle {} --help shows how it is used", verb->get_name()));
}

}  // namespace heddle
