#include "trainer/profile/totals.h"

#include <map>
#include <tuple>

#include "framework/comm/collectives.h"
#include "framework/io/json.h"

namespace heddle {
namespace {

Json to_json(const Profile& profile) {
  Json lines = Json::array();
  bool main = true;
  for (const Profile::Thread& thread : profile.threads()) {
    for (const SpanTotal& total : thread.totals) {
      lines.push_back({total.key.name, total.key.type, profile.module(total.key.module),
                       static_cast<int>(total.key.kind), static_cast<int>(total.key.pass), main,
                       total.calls, static_cast<double>(total.nanoseconds) * 1e-9,
                       total.work.product_flops + total.work.attention_flops,
                       total.work.moved_bytes});
    }
    main = false;
  }
  return {{"seconds", static_cast<double>(profile.nanoseconds()) * 1e-9},
          {"left_out", profile.left_out()},
          {"lines", std::move(lines)}};
}

ProfileLine from_json(const JsonView& json) {
  return {.name = json.at(0).string(),
          .type = json.at(1).string(),
          .module = json.at(2).string(),
          .kind = static_cast<SpanKind>(json.at(3).integer()),
          .pass = static_cast<TapePass>(json.at(4).integer()),
          .main = json.at(5).boolean(),
          .calls = json.at(6).integer(),
          .seconds = json.at(7).number(),
          .flops = json.at(8).number(),
          .bytes = json.at(9).number()};
}

}  // namespace

std::string ProfileLine::title() const {
  if (pass == TapePass::kBackward) return name + " backward";
  return pass == TapePass::kRecomputed ? name + " recomputed" : name;
}

ProfileTotals gather_totals(const Profile& profile, Communicator& world, int64_t threads) {
  ProfileTotals all;
  all.ranks = world.size();
  all.threads = threads;
  std::map<std::tuple<std::string, std::string, std::string, SpanKind, TapePass, bool>, ProfileLine>
      lines;
  for (const std::string& text : gather_text(world, dump_json(to_json(profile)), 0, "profile")) {
    const Json json = parse_json(text, "profile");
    const JsonView view(json, "profile");
    all.seconds += view.get<double>("seconds") / static_cast<double>(world.size());
    all.left_out += view.get<int64_t>("left_out");
    for (size_t i = 0; i < view["lines"].size(); ++i) {
      const ProfileLine line = from_json(view["lines"].at(i));
      const auto [found, added] = lines.try_emplace(
          {line.name, line.type, line.module, line.kind, line.pass, line.main}, line);
      if (added) continue;
      ProfileLine& sum = found->second;
      sum.calls += line.calls;
      sum.seconds += line.seconds;
      sum.flops += line.flops;
      sum.bytes += line.bytes;
    }
  }
  for (auto& [key, line] : lines) all.lines.push_back(std::move(line));
  return all;
}

}  // namespace heddle
