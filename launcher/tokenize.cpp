// heddle tokenize MODEL [TEXT | -i FILE]: text to token ids, and how they came about.
#include <fmt/ranges.h>

#include <memory>
#include <optional>

#include "datasets/examples.h"
#include "framework/device/profile.h"
#include "launcher/program.h"
#include "models/tokenizers/check_cases.h"
#include "trainer/served_model.h"

namespace heddle {
namespace {

struct Options {
  std::string model;
  std::optional<std::string> text, pair, input, cases;
  bool explain = false;
};

std::string line(const Tokenizer& tokenizer, const std::string& text,
                 const std::optional<std::string>& pair) {
  const ProfiledStage span("tokenize");
  return fmt::format("{}\n", fmt::join(tokenizer.encode(text, pair)[0].ids, " "));
}

ExitCode check_against(Session& session, const Tokenizer& tokenizer, const std::string& cases) {
  const CheckResult result = check_cases(tokenizer, cases);
  session.print(fmt::format("{} of {} cases equal\n", result.cases - result.failed, result.cases));
  for (const CaseMismatch& mismatch : result.mismatches) {
    session.print(mismatch.describe() + "\n");
  }
  return result.failed == 0 ? ExitCode::kDone : ExitCode::kInput;
}

ExitCode tokenize_verb(Session& session, const Options& options) {
  if (!session.root()) return ExitCode::kDone;
  const auto tokenizer = load_model_tokenizer(session.files(), options.model);
  if (options.cases) return check_against(session, *tokenizer, *options.cases);
  if (options.text.has_value() == options.input.has_value()) {
    throw Error(ExitCode::kInput, "tokenize: give either TEXT or -i FILE",
                "heddle tokenize --help shows how it is used");
  }
  if (options.text && options.explain) {
    for (const ExplainedStage& stage : tokenizer->explain(*options.text, options.pair)) {
      session.print(fmt::format("{:<16} {}\n", stage.name, stage.text));
    }
  }
  if (options.text) {
    session.print(line(*tokenizer, *options.text, options.pair));
    return ExitCode::kDone;
  }
  BadRows bad;
  DataSource source;
  source.paths = {*options.input};
  ExampleReader examples(source, bad);
  Example example;
  while (examples.next(example)) {
    session.print(line(*tokenizer, std::string(example.text), std::nullopt));
  }
  return ExitCode::kDone;
}

}  // namespace

void add_tokenize(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.verb("tokenize", "Text to token ids, and how they came about.",
                                "heddle tokenize models/pretrained/minilm 'A text.' --explain");
  verb->add_option("MODEL", options->model,
                   "a run, a checkpoint, a Hugging Face folder or a tokenizer file")
      ->required();
  verb->add_option("TEXT", options->text, "the text");
  verb->add_option("--pair", options->pair, "a second text");
  verb->add_option("-i,--input", options->input, "a file: its column text, or its lines");
  verb->add_flag("--explain", options->explain, "show what each stage makes of the text");
  verb->add_option("--check", options->cases, "compare with recorded ids (cases.json)");
  program.on_run(verb, [options](Session& session) { return tokenize_verb(session, *options); });
}

}  // namespace heddle
