// heddle inspect | verify | diff: what is inside, whether it is whole, where two of them part.
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "framework/io/checkpoint.h"
#include "framework/io/safetensors.h"
#include "launcher/program.h"
#include "trainer/run_differences.h"
#include "trainer/run_folder.h"
#include "trainer/served_model.h"

namespace heddle {
namespace {

bool is_run(FileSystem& files, const std::string& path) {
  return RunFolder(path).has_run(files);
}

void inspect_checkpoint(Session& session, const std::string& path) {
  const Checkpoint checkpoint(session.files(), path, Verify::kOnUse);
  session.print(fmt::format("checkpoint {}, step {}\n", path, checkpoint.step()));
  for (const ShardFile& file : checkpoint.files()) {
    session.print(fmt::format("  {} {} bytes\n", file.name, file.bytes));
  }
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    session.print(fmt::format("  {:<70} {} [{}]\n", name, name_of(tensor.dtype),
                              fmt::join(tensor.shape, ", ")));
  }
}

void inspect_folder(Session& session, const std::string& path) {
  const SafetensorsFile weights = SafetensorsFile::open(session.files(), path);
  session.print(fmt::format("Hugging Face folder {}\n", path));
  for (const std::string& name : weights.names()) {
    const SafetensorsEntry& entry = weights.at(name);
    session.print(fmt::format("  {:<70} {} [{}]\n", name, name_of(entry.dtype),
                              fmt::join(entry.shape, ", ")));
  }
}

void inspect_run(Session& session, const std::string& path) {
  const RunState state = RunFolder(path).read_state(session.files());
  session.print(fmt::format("run {}: step {}, epoch {:.2f}, {}\n", path, state.step, state.epoch,
                            state.ended.empty() ? "not ended" : state.ended));
  if (state.best) {
    session.print(fmt::format("best: step {}, {} {:.4f}\n", state.best->step, state.best->metric,
                              state.best->value));
  }
  for (const CheckpointName& name :
       list_checkpoints(session.files(), RunFolder(path).checkpoints())) {
    session.print(fmt::format("  {}\n", name.path));
  }
}

void inspect(Session& session, const std::string& path) {
  if (is_run(session.files(), path)) inspect_run(session, path);
  const ModelPath found = find_model(session.files(), path);
  if (found.kind == ModelPath::Kind::kCheckpoint)
    inspect_checkpoint(session, found.path);
  else
    inspect_folder(session, found.path);
}

// A checkpoint may have lost its manifest.
bool may_be_checkpoint(FileSystem& files, const std::string& path) {
  if (!files.is_directory(path)) return false;
  return std::ranges::any_of(files.list(path), [](const std::string& name) {
    return name == "manifest.json" || name.starts_with("shard-");
  });
}

// True if everything is whole.
bool verify(Session& session, const std::string& path) {
  std::vector<std::string> checkpoints = {path};
  if (is_run(session.files(), path)) {
    checkpoints.clear();
    for (const CheckpointName& name :
         list_checkpoints(session.files(), RunFolder(path).checkpoints())) {
      checkpoints.push_back(name.path);
    }
  }
  if (checkpoints.empty()) {
    throw Error(ExitCode::kNoData, fmt::format("{}: there is no checkpoint in it", path),
                "a checkpoint is written every checkpoint.every steps and at the end; if there was "
                "one, restore RUN/checkpoints from a copy");
  }
  if (checkpoints[0] == path && !may_be_checkpoint(session.files(), path)) {
    throw Error(ExitCode::kInput, fmt::format("{}: no checkpoint", path),
                "verify reads runs (run.json) and checkpoints (manifest.json)");
  }
  bool good = true;
  for (const std::string& checkpoint : checkpoints) {
    const CheckpointReport report = verify_checkpoint(session.files(), checkpoint);
    session.print(fmt::format("{} {}\n", checkpoint, report.is_good() ? "is whole" : "is damaged"));
    if (!report.fault.empty()) session.print(fmt::format("  {}\n", report.fault));
    const auto is_damaged = [](const CheckedPart& part) { return !part.fault.empty(); };
    for (const CheckedPart& file : report.files) {
      if (is_damaged(file)) session.print(fmt::format("  {}\n", file.fault));
    }
    const auto lost = std::ranges::count_if(report.tensors, is_damaged);
    if (lost > 0) {
      session.print(fmt::format("  {} of {} tensors lie there\n", lost, report.tensors.size()));
    }
    good = good && report.is_good();
  }
  return good;
}

// True if the two are equal.
bool diff(Session& session, const std::string& a, const std::string& b) {
  FileSystem& files = session.files();
  const bool runs = is_run(files, a) && is_run(files, b);
  const RunComparison result =
      runs ? compare_runs(files, a, b)
           : compare_checkpoints(files, find_model(files, a).path, find_model(files, b).path);
  for (const std::string& warning : result.warnings) session.warn(warning);
  if (result.first) {
    session.print(fmt::format("different: step {}: {}\n", result.first->step, result.first->what));
    return false;
  }
  session.print(
      runs ? fmt::format("equal: {} losses, parameters at {} steps\n", result.losses, result.hashes)
           : std::string("equal\n"));
  return true;
}

}  // namespace

void add_inspect(Program& program) {
  auto path = std::make_shared<std::string>();
  CLI::App* verb = program.verb("inspect", "What a run, checkpoint or folder holds.",
                                "heddle inspect runs/sst2");
  verb->add_option("PATH", *path, "a run, a checkpoint or a Hugging Face folder")->required();
  program.on_run(verb, [path](Session& session) {
    if (session.root()) inspect(session, *path);
    return ExitCode::kDone;
  });
}

void add_verify(Program& program) {
  auto path = std::make_shared<std::string>();
  CLI::App* verb = program.verb("verify", "Whether every byte of a checkpoint is as written.",
                                "heddle verify runs/sst2");
  verb->add_option("PATH", *path, "a run (all its checkpoints) or a checkpoint")->required();
  program.on_run(verb, [path](Session& session) {
    if (!session.root()) return ExitCode::kDone;
    return verify(session, *path) ? ExitCode::kDone : ExitCode::kNoData;
  });
}

void add_diff(Program& program) {
  struct Options {
    std::string a, b;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.verb("diff", "The first step and parameter in which two runs or checkpoints differ.",
                   "heddle diff runs/one-rank runs/four-ranks");
  verb->add_option("A", options->a, "a run or a checkpoint")->required();
  verb->add_option("B", options->b, "a run or a checkpoint")->required();
  program.on_run(verb, [options](Session& session) {
    if (!session.root()) return ExitCode::kDone;
    if (diff(session, options->a, options->b)) return ExitCode::kDone;
    return static_cast<ExitCode>(1);
  });
}

}  // namespace heddle
