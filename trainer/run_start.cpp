#include "trainer/run_start.h"

#include "trainer/config/yaml.h"

namespace heddle {
namespace {

void refuse_other_config(const Config& config, const std::string& before_yaml,
                         const std::string& where) {
  const std::vector<Difference> changed = differences(parse_config(before_yaml, where), config);
  if (changed.empty()) return;
  std::string list;
  for (const Difference& d : changed) {
    list += fmt::format("\n  {}: {} -> {}", d.key, d.before, d.after);
  }
  throw Error(ExitCode::kInput,
              fmt::format("{}: this run was started with another config:{}", where, list),
              "restore these values, or set another `output` to start a new run");
}

}  // namespace

RunStart start_run(FileSystem& files, const Config& config, const ResumeChoice& resume,
                   const RunFolder& folder) {
  RunStart start;
  const auto note_damage = [&](const std::string& path, const std::string& reason) {
    start.warnings.push_back(fmt::format("{} is passed over: {}", path, reason));
  };
  if (resume.choice == "auto") {
    if (!folder.has_run(files)) return start;
    refuse_other_config(config, read_file(files, folder.config_file()), folder.config_file());
    const RunState state = folder.read_state(files);
    start.finished = state.ended == "finished" || state.ended == "early_stop";
    const auto newest = find_newest_valid(files, folder.checkpoints(), note_damage);
    if (newest) start.checkpoint = std::make_unique<CheckpointReader>(files, newest->path());
    return start;
  }
  if (folder.has_run(files)) {
    throw Error(
        ExitCode::kInput,
        fmt::format("{}: holds a run already, and --resume is '{}'", folder.path(), resume.choice),
        "set another `output`, or leave out --resume to go on with it");
  }
  if (resume.choice == "never") return start;
  const ModelPath from = find_model(files, resume.choice);
  if (from.kind != ModelPath::Kind::kCheckpoint) {
    throw Error(
        ExitCode::kInput,
        fmt::format("--resume {}: a Hugging Face folder has no state of a run", resume.choice),
        "name it as model.from to start from its weights");
  }
  start.checkpoint = std::make_unique<CheckpointReader>(files, from.path);
  refuse_other_config(config, start.checkpoint->run_config(), from.path);
  return start;
}

}  // namespace heddle
