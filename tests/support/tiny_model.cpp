#include "tests/support/tiny_model.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "tests/support/program.h"

namespace heddle {
namespace {

TinyModel make() {
  TinyModel tiny;
  tiny.folder = std::filesystem::temp_directory_path() / fmt::format("heddle-tiny-{}", getpid());
  tiny.data = tiny / "rows.tsv";
  tiny.config = tiny / "tiny.yaml";
  tiny.run = tiny / "run";
  tiny.exported = tiny / "exported";
  std::filesystem::create_directories(tiny.folder);
  std::string rows = "text\tlabel\n";
  for (int i = 0; i < 12; ++i)
    rows += fmt::format("a cat of {} lives\ta\na city by {} seas\tb\n", i, i);
  write_text(tiny.data, rows);
  write_text(tiny.config, fmt::format(R"(output: {}
model:
  architecture:
    {{family: bert, hidden_size: 16, layers: 2, heads: 2, intermediate_size: 32, max_positions: 32}}
  tokenizer: {}/datasets/samples/definitions/vocab.txt
data: {{train: {}, validation: {}, max_length: 16}}
batch: {{size: 8}}
training: {{steps: 2, log_every: 1}}
checkpoint: {{every: 1}}
log: {{tensorboard: false, hash_every: 1}}
)",
                                      tiny.run, HEDDLE_SOURCE_DIR, tiny.data, tiny.data));
  for (const std::string& arguments :
       {"train " + tiny.config, "export " + tiny.run + " -o " + tiny.exported}) {
    const Outcome outcome = run_heddle(arguments);
    if (outcome.code != 0) throw std::runtime_error(outcome.err);
  }
  return tiny;
}

struct Owned {
  TinyModel tiny = make();
  ~Owned() { std::filesystem::remove_all(tiny.folder); }
};

}  // namespace

const TinyModel& tiny_model() {
  static const Owned owned;
  return owned.tiny;
}

std::string tiny_file(const std::string& name, const std::string& text) {
  const std::string path = tiny_model() / name;
  write_text(path, text);
  return path;
}

}  // namespace heddle
