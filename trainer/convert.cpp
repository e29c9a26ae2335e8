#include "trainer/convert.h"

#include <fmt/ranges.h>

#include <map>

#include "framework/comm/single.h"
#include "framework/io/hash.h"
#include "framework/io/json.h"
#include "models/hf/config.h"
#include "models/hf/export.h"
#include "models/hf/import.h"
#include "trainer/checkpoint_save.h"
#include "trainer/metrics/metric_report.h"
#include "trainer/run_folder.h"

namespace heddle {
namespace {

std::string model_card(FileSystem& files, const std::string& path, const ServedModel& served) {
  std::string card = fmt::format(
      "---\nlibrary_name: transformers\npipeline_tag: text-classification\n---\n\n"
      "# {} for {}\n\nLabels: {}. Texts of at most {} tokens.\n",
      served.config.family, name_of(served.config.problem), fmt::join(served.config.labels, ", "),
      served.text.max_length);
  const RunFolder run(path);
  if (files.exists(run.test_file())) {
    const Json json = read_json(files, run.test_file());
    const MetricReport report = metric_report_from_json(JsonView(json, run.test_file()));
    card += fmt::format("\nOn the {} rows of its test split:\n\n| metric | value |\n|---|---|\n",
                        report.rows);
    for (const MetricValue& metric : report.values) {
      card += fmt::format("| {} | {} |\n", metric.name, format_metric(metric.value));
    }
  }
  return card + "\nTrained with Heddle.\n";
}

}  // namespace

std::string import_folder(FileSystem& files, const std::string& folder, const std::string& output) {
  if (files.exists(output)) {
    throw Error(ExitCode::kInput, fmt::format("{}: exists already", output),
                "a checkpoint is written into a folder of its own");
  }
  const std::string config_path = join_path(folder, "config.json");
  const ClassifierConfig config = parse_config(read_json(files, config_path), config_path);
  const auto tokenizer = load_tokenizer(folder);
  Classifier model(config);
  const ParameterArena arena(model, Device::cpu());
  const auto weights = std::make_shared<SafetensorsFile>(SafetensorsFile::open(files, folder));
  const ImportReport report =
      import_weights(weights, config, named_parameters(model), {.fresh_head_allowed = true});

  std::vector<std::pair<std::string, std::string>> hashes;
  for (const std::string& path : weights->paths()) {
    hashes.emplace_back(base_name(path), hash_file(files, path));
  }
  TextSettings text;
  text.max_length = config.max_positions;
  const std::unique_ptr<Communicator> alone = make_single();
  // Written as a run's checkpoints are, in a folder beside, and moved to its place.
  const std::string root = output + ".import";
  remove_tree(files, root);
  save_checkpoint(files, *alone, {.root = root, .loaded = {}},
                  {.config = config,
                   .text = text,
                   .tokenizer = *tokenizer,
                   .arena = arena,
                   .optimizer = nullptr,
                   .state = {},
                   .run_config = "",
                   .hashes = hashes});
  make_directories(files, parent_path(output));
  files.rename(list_checkpoints(files, root).front().path, output);
  files.sync_directory(parent_path(output));
  remove_tree(files, root);

  std::string told = fmt::format("{}: {:.1f} M parameters of {}", output,
                                 static_cast<double>(count_parameters(model)) / 1e6, folder);
  if (!report.fresh.empty()) {
    told += fmt::format("\na fresh head: {} start at random", fmt::join(report.fresh, ", "));
  }
  if (!report.dropped.empty())
    told += fmt::format("\nnot used: {}", fmt::join(report.dropped, ", "));
  return told;
}

void export_model(FileSystem& files, const std::string& path, const std::string& output) {
  const auto served = load_served_model(files, path, {.pack = false});
  std::map<std::string, std::string> others = served->tokenizer->files();
  others["README.md"] = model_card(files, path, *served);
  export_folder(files, output, served->config, named_parameters(served->model), others);
}

}  // namespace heddle
