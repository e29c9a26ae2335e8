#include "trainer/log/run_state.h"

namespace heddle {
namespace {

std::map<std::string, std::string> texts(const JsonView& json, std::string_view key) {
  std::map<std::string, std::string> result;
  if (json.has(key)) {
    const JsonView object = json[key];
    for (const std::string& name : object.keys()) {
      const JsonView value = object[name];
      if (!value.is_string() && !value.is_number() && !value.is_boolean()) {
        throw value.error("is no text, number or boolean");
      }
      result[name] = value.is_string() ? value.string() : dump_json(value.raw());
    }
  }
  return result;
}

}  // namespace

Json to_json(const RunState& state) {
  Json json{{"version", state.version}, {"step", state.step},
            {"epoch", state.epoch},     {"last", nullptr},
            {"best", nullptr},          {"ended", nullptr},
            {"hashes", state.hashes},   {"environment", state.environment}};
  if (state.last) {
    json["last"] = *state.last;
  }
  if (state.best) {
    json["best"] = {
        {"step", state.best->step}, {"metric", state.best->metric}, {"value", state.best->value}};
  }
  if (!state.ended.empty()) {
    json["ended"] = state.ended;
  }
  return json;
}

RunState run_state_from_json(const JsonView& json) {
  RunState state{.version = json.get_or("version", ""),
                 .step = json["step"].integer(0),
                 .epoch = json["epoch"].number(),
                 .ended = json.get_or("ended", ""),
                 .hashes = texts(json, "hashes"),
                 .environment = texts(json, "environment")};
  if (json.has("last")) {
    state.last = json["last"].integer(0);
  }
  if (json.has("best")) {
    const JsonView best = json["best"];
    state.best = BestCheckpoint{.step = best["step"].integer(0),
                                .metric = best["metric"].string(),
                                .value = best["value"].number()};
  }
  return state;
}

RunState read_run_state(FileSystem& files, const std::string& path) {
  try {
    const Json json = read_json(files, path);
    return run_state_from_json(JsonView(json, path));
  } catch (const FileError&) {
    throw;
  } catch (const Error& error) {
    throw Error(ExitCode::kNoData, fmt::format("the run's state cannot be read: {}", error.what()),
                kDamagedRunHint);
  }
}

}  // namespace heddle
