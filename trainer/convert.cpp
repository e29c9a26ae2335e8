#include "trainer/convert.h"

#include <fmt/ranges.h>

#include <map>

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

std::string model_card(FileSystem& files, const std::string& path, const ClassifierConfig& config,
                       const TextSettings& text) {
  std::string card = fmt::format(
      "---\nlibrary_name: transformers\npipeline_tag: text-classification\n---\n\n"
      "# {} for {}\n\nLabels: {}. Texts of at most {} tokens.\n",
      config.family, name_of(config.problem), fmt::join(config.labels, ", "), text.max_length);
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

using FileHashes = std::vector<std::pair<std::string, std::string>>;

FileHashes hashes_of(FileSystem& files, const std::vector<std::string>& paths) {
  FileHashes hashes;
  for (const std::string& path : paths)
    hashes.emplace_back(base_name(path), hash_file(files, path));
  return hashes;
}

std::string summary(const std::string& output, const std::string& folder, int64_t parameters,
                    const ImportReport& report) {
  std::string told = fmt::format("{}: {:.1f} M parameters of {}", output,
                                 static_cast<double>(parameters) / 1e6, folder);
  if (!report.fresh.empty()) {
    told += fmt::format("\na fresh head: {} start at random", fmt::join(report.fresh, ", "));
  }
  if (!report.dropped.empty())
    told += fmt::format("\nnot used: {}", fmt::join(report.dropped, ", "));
  return told;
}

// As well as it can: the failure before is the one to tell.
void leave_nothing(FileSystem& files, const std::string& root) {
  try {
    remove_tree(files, root);
  } catch (const Error&) {
  }
}

}  // namespace

std::string import_folder(FileSystem& files, const std::string& folder, const std::string& output,
                          const Mesh& mesh) {
  if (files.exists(output)) {
    throw Error(ExitCode::kInput, fmt::format("{}: exists already", output),
                "a checkpoint is written into a folder of its own");
  }
  const std::string config_path = join_path(folder, "config.json");
  const ClassifierConfig config = parse_config(read_json(files, config_path), config_path);
  const auto tokenizer = load_tokenizer(folder);
  require_vocabulary(*tokenizer, config);
  const Group group = mesh.group(mesh.size().tensor);
  require_slices(config, group);
  Classifier model(config, group);
  const ParameterArena arena(model, Device::cpu());
  const auto weights = std::make_shared<SafetensorsFile>(SafetensorsFile::open(files, folder));
  const ImportReport report =
      import_weights(weights, config, arena.parameters(), {.fresh_head_allowed = true});

  TextSettings text;
  text.max_length = config.max_positions;
  const std::string root = output + ".import";
  if (mesh.is_root()) remove_tree(files, root);
  // Written as a run's checkpoints are, in a folder beside, and moved to its place.
  try {
    save_checkpoint(files, mesh.world(), {.root = root, .loaded = {}},
                    {.config = config,
                     .text = text,
                     .tokenizer = *tokenizer,
                     .arena = arena,
                     .optimizer = nullptr,
                     .state = {},
                     .run_config = "",
                     .hashes = mesh.is_root() ? hashes_of(files, weights->paths()) : FileHashes()});
    if (mesh.is_root()) {
      make_directories(files, parent_path(output));
      files.rename(list_checkpoints(files, root).front().path, output);
      files.sync_directory(parent_path(output));
      remove_tree(files, root);
    }
  } catch (const Error& error) {
    if (mesh.is_root()) leave_nothing(files, root);
    throw Error(error.code(), fmt::format("{}: not imported: {}", output, error.what()),
                "nothing is left of it; mend this and start again");
  }
  mesh.world().barrier("import");
  return summary(output, folder, count_parameters(model), report);
}

void export_model(FileSystem& files, const std::string& path, const std::string& output) {
  if (files.exists(output) && !(files.is_directory(output) && files.list(output).empty())) {
    throw Error(ExitCode::kInput, fmt::format("{}: is there already, and not empty", output),
                "a model is written into a folder of its own: name another, or remove this one");
  }
  const auto write = [&](const ClassifierConfig& config, const TextSettings& text,
                         const Tokenizer& tokenizer, const ReadPart& read) {
    std::map<std::string, std::string> others = tokenizer.files();
    others["README.md"] = model_card(files, path, config, text);
    export_folder(files, output, config, read, others);
  };
  const ModelPath found = find_model(files, path);
  if (found.kind == ModelPath::Kind::kHuggingFace) {
    const auto served = load_served_model(files, found.path, {.pack = false});
    write(served->config, served->text, *served->tokenizer,
          parts_of(named_parameters(served->model)));
    return;
  }
  const CheckpointReader checkpoint(files, found.path, CheckpointReader::Need::kModel);
  write(checkpoint.config(), checkpoint.text(), *checkpoint.tokenizer(),
        [&](const std::string& name, Parameter& part) {
          checkpoint.fill({{name, &part}});
        });
}

}  // namespace heddle
