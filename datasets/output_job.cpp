#include "datasets/output_job.h"

#include <algorithm>

#include "framework/io/json.h"

namespace heddle {

std::string output_record_path(const std::string& output) {
  return join_path(parent_path(output), fmt::format(".{}.job", base_name(output)));
}

void write_output_record(FileSystem& files, const std::string& output, const OutputRecord& record) {
  Json json = {{"output_job", 1}, {"parts", Json::array()}};
  if (record.bytes) json["bytes"] = *record.bytes;
  for (const OutputJob::Part& part : record.job.parts) {
    json["parts"].push_back({{"what", part.what}, {"shown", part.shown}, {"hash", part.hash}});
  }
  write_file_atomically(files, output_record_path(output), dump_json(json, 2) + "\n");
}

std::optional<OutputRecord> read_output_record(FileSystem& files, const std::string& output) {
  const std::string path = output_record_path(output);
  if (!files.exists(path)) return {};
  try {
    const Json json = read_json(files, path);
    const JsonView view(json, path);
    OutputRecord record;
    if (view.has("bytes")) record.bytes = view.get<uint64_t>("bytes");
    const JsonView parts = view["parts"];
    for (size_t i = 0; i < parts.size(); ++i) {
      record.job.parts.push_back({parts.at(i).get<std::string>("what"),
                                  parts.at(i).get<std::string>("shown"),
                                  parts.at(i).get<std::string>("hash")});
    }
    return record;
  } catch (const Error&) {
    return {};
  }
}

void require_same_job(const std::string& file, const std::optional<OutputRecord>& found,
                      const OutputJob& job) {
  const char* hint = "leave out --resume to start anew, or name another output";
  if (!found) {
    throw Error(ExitCode::kInput,
                fmt::format("{}: cannot resume: nothing says what job it is of", file), hint);
  }
  std::string differences;
  for (const OutputJob::Part& now : job.parts) {
    const auto then = std::ranges::find(found->job.parts, now.what, &OutputJob::Part::what);
    if (then != found->job.parts.end() && then->hash == now.hash) continue;
    const std::string before = then == found->job.parts.end() ? "unknown" : then->shown;
    differences += before == now.shown
                       ? fmt::format("\n  {}: {} has changed", now.what, now.shown)
                       : fmt::format("\n  {}: {} -> {}", now.what, before, now.shown);
  }
  if (differences.empty()) return;
  throw Error(ExitCode::kInput,
              fmt::format("{}: cannot resume: it is of another job:{}", file, differences), hint);
}

}  // namespace heddle
