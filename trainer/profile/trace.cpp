#include "trainer/profile/trace.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "framework/comm/collectives.h"

namespace heddle {
namespace {

std::string_view category(const SpanKey& key) {
  switch (key.kind) {
    case SpanKind::kOp:
      return "op";
    case SpanKind::kStage:
      return "stage";
    case SpanKind::kModule:
      return "module";
    case SpanKind::kShare:
      return "share";
  }
  return "";
}

// Names are our own: nothing in them needs to be escaped.
void append(std::string& out, const Profile& profile, const SpanEvent& event, int rank,
            size_t thread) {
  const SpanKey& key = event.key;
  const std::string& module = profile.module(key.module);
  std::string_view name = key.name;
  if (name.empty() && key.kind == SpanKind::kModule) name = module;
  if (name.empty()) name = "work";
  const std::string_view pass = key.pass == TapePass::kForward    ? ""
                                : key.pass == TapePass::kBackward ? " backward"
                                                                  : " recomputed";
  // Whole numbers, by formats known to the compiler: there are many events.
  const int64_t duration = event.end - event.begin;
  fmt::format_to(std::back_inserter(out),
                 FMT_COMPILE("{{\"ph\":\"X\",\"pid\":{},\"tid\":{},\"ts\":{}.{:03},"
                             "\"dur\":{}.{:03},\"name\":\"{}{}\",\"cat\":\"{}\""),
                 rank, thread, event.begin / 1000, event.begin % 1000, duration / 1000,
                 duration % 1000, name, pass, category(key));
  if (key.kind == SpanKind::kOp) {
    fmt::format_to(std::back_inserter(out),
                   FMT_COMPILE(",\"args\":{{\"type\":\"{}\",\"module\":\"{}\",\"flops\":{},"
                               "\"bytes\":{}}}"),
                   key.type, module, static_cast<int64_t>(event.flops),
                   static_cast<int64_t>(event.bytes));
  }
  out += "},\n";
}

void append_name(std::string& out, std::string_view what, int rank, size_t thread,
                 std::string_view name) {
  fmt::format_to(std::back_inserter(out),
                 "{{\"ph\":\"M\",\"pid\":{},\"tid\":{},\"name\":\"{}\",\"args\":{{\"name\":\"{}\"}}"
                 "}},\n",
                 rank, thread, what, name);
}

std::string events_of(const Profile& profile, int rank) {
  std::string out;
  append_name(out, "process_name", rank, 0, fmt::format("rank {}", rank));
  const std::vector<Profile::Thread> threads = profile.threads();
  for (size_t t = 0; t < threads.size(); ++t) {
    append_name(out, "thread_name", rank, t, t == 0 ? "main" : fmt::format("thread {}", t));
    for (const SpanEvent& event : threads[t].events) append(out, profile, event, rank, t);
  }
  return out;
}

}  // namespace

std::string gather_trace(const Profile& profile, Communicator& world) {
  const int64_t left_out = all_reduce(world, profile.left_out(), Reduction::kSum, "trace");
  std::string trace;
  for (const std::string& part : gather_text(world, events_of(profile, world.rank()), 0, "trace")) {
    trace += part;
  }
  if (world.rank() != 0) return "";
  trace.resize(trace.size() - 2);  // the last comma
  return fmt::format("{}\n{}\n],\"displayTimeUnit\":\"ms\",\"otherData\":{{\"left_out\":{}}}}}\n",
                     kTraceBegin, trace, left_out);
}

}  // namespace heddle
