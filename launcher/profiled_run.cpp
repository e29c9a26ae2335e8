#include "launcher/profiled_run.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "trainer/planner/measure.h"
#include "trainer/profile/tables.h"
#include "trainer/profile/trace.h"

namespace heddle {
namespace {

// A name that was meant for something else must not cost a file of the user's.
void require_no_other_file(FileSystem& files, const std::string& path) {
  const FileKind kind = files.kind(path);
  if (kind == FileKind::kMissing) return;
  std::string begin(kTraceBegin);
  const bool long_enough = kind == FileKind::kFile && files.size(path) >= begin.size();
  if (long_enough) {
    files.open(path, OpenMode::kRead)
        ->read_at(0, std::as_writable_bytes(std::span(begin.data(), begin.size())));
  }
  if (long_enough && begin == kTraceBegin) return;
  throw Error(ExitCode::kInput,
              fmt::format("--profile {}: is there, and no trace that could be written over", path),
              "name a file that is not there");
}

// Returns `path`, behind links. A trace of before stays until there is a new one.
std::string require_trace(Session& session, const std::string& path) {
  if (!session.root()) return path;
  const std::string file = follow_links(session.files(), path);
  require_no_other_file(session.files(), file);
  require_writable(session.files(), file);
  return file;
}

}  // namespace

ProfiledRun::ProfiledRun(Session& session, std::string path)
    : session_(session),
      path_(require_trace(session, path)),
      profile_((session.world().barrier("profile"), kMostTraceEvents / session.world().size())) {}

void ProfiledRun::finish() {
  profile_.stop();
  Communicator& world = session_.world();
  const int64_t threads = session_.pool().threads();
  const ProfileTotals totals = gather_totals(profile_, world, threads);
  const std::string trace = gather_trace(profile_, world);
  if (!session_.root()) return;
  const auto limits =
      kept_limits(session_.files(), default_cache_file(), processor_name(), world.size(), threads);
  fmt::print(stderr, "\n{}", profile_tables(totals, limits));
  require_no_other_file(session_.files(), path_);
  write_file_atomically(session_.files(), path_, trace);
  const std::string left_out =
      totals.left_out > 0 ? fmt::format(", without the last {} spans", totals.left_out) : "";
  fmt::print(stderr, "\ntrace: {}{}\n", path_, left_out);
}

}  // namespace heddle
