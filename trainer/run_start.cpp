#include "trainer/run_start.h"

#include "trainer/config/yaml.h"

namespace heddle {
namespace {

// The config that the run was started with.
Config read_run_config(FileSystem& files, const RunFolder& folder) {
  const std::string path = folder.config_file();
  try {
    return parse_config(read_file(files, path), path);
  } catch (const Error& error) {
    throw Error(ExitCode::kNoData,
                fmt::format("{}: the run's config cannot be read: {}", path, error.what()),
                kDamagedRunHint);
  }
}

// Returns the precision that the run was begun in: what `auto` goes on with.
std::string refuse_other_config(Config config, const Config& before, const std::string& where) {
  if (config.precision == "auto") config.precision = before.precision;
  const std::vector<Difference> changed = differences(before, config);
  if (changed.empty()) return before.precision;
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
    const RunState state = folder.read_state(files);
    start.precision =
        refuse_other_config(config, read_run_config(files, folder), folder.config_file());
    start.finished = state.ended == "finished" || state.ended == "early_stop";
    const auto newest = find_newest_valid(files, folder.checkpoints(), note_damage);
    if (newest) {
      start.checkpoint = std::make_unique<CheckpointReader>(files, newest->path());
    } else if (start.finished) {
      throw Error(
          ExitCode::kNoData,
          fmt::format("{}: this run is finished, but its checkpoints are gone", folder.path()),
          "restore its folder 'checkpoints' from a copy, or set another `output` to train "
          "anew");
    } else if (state.last) {
      start.warnings.push_back(
          fmt::format("{}: the checkpoints are gone (the last was of step {}); the run begins anew",
                      folder.path(), *state.last));
    }
    return start;
  }
  if (folder.has_run(files)) {
    throw Error(
        ExitCode::kInput,
        fmt::format("{}: holds a run already, and --resume is '{}'", folder.path(), resume.choice),
        "set another `output`, or leave out --resume to go on with it");
  }
  if (resume.choice == "never") return start;
  const RunFolder other(resume.choice);
  if (other.has_run(files)) {
    // The newest, not the best that serving takes: a run goes on where it stands.
    const auto newest = find_newest_valid(files, other.checkpoints(), note_damage);
    if (!newest) {
      throw Error(ExitCode::kNoData, fmt::format("--resume {}: holds no checkpoint", other.path()),
                  "a checkpoint is written every checkpoint.every steps and at the end");
    }
    start.checkpoint = std::make_unique<CheckpointReader>(files, newest->path());
    start.precision = refuse_other_config(
        config, parse_config(start.checkpoint->run_config(), newest->path()), newest->path());
    return start;
  }
  const ModelPath from = find_model(files, resume.choice);
  if (from.kind != ModelPath::Kind::kCheckpoint) {
    throw Error(
        ExitCode::kInput,
        fmt::format("--resume {}: a Hugging Face folder has no state of a run", resume.choice),
        "name it as model.from to start from its weights");
  }
  start.checkpoint = std::make_unique<CheckpointReader>(files, from.path);
  start.precision = refuse_other_config(
      config, parse_config(start.checkpoint->run_config(), from.path), from.path);
  return start;
}

}  // namespace heddle
