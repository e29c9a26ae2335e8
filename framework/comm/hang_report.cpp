#include "framework/comm/hang_report.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "framework/comm/rank_board.h"

namespace heddle {
namespace {

constexpr std::chrono::seconds kPatienceForStack(1);
constexpr std::chrono::seconds kPatienceForOthers(2);

}  // namespace

std::string hang_report(const Communicator& world, const Watchdog::Silence& silence,
                        const MainStack* stack) {
  const std::string prefix =
      world.size() == 1 ? "heddle: " : fmt::format("[rank {}/{}] ", world.rank(), world.size());
  const RankBoard* board = world.board().get();
  const std::string position = board ? board->position() : world.position();
  std::string text = prefix;
  text += silence.called ? "another rank makes no progress; this one has been"
                         : fmt::format("no progress for {:.0f} s", silence.seconds);
  text += fmt::format(" in '{}'{}", silence.what.empty() ? "start" : silence.what,
                      silence.called ? fmt::format(" for {:.0f} s", silence.seconds) : "");
  if (!position.empty()) text += fmt::format("; last entered {}", position);
  text += "\n";
  if (board && !silence.called) {
    for (const std::string& line : board->blame()) text += fmt::format("{}  {}\n", prefix, line);
    if (const int others = world.size() - board->places(); others > 0) {
      text += fmt::format(
          "{}  {} rank{} on other nodes {} for themselves; where none of them is behind, the "
          "network "
          "between nodes may be down\n",
          prefix, others, others == 1 ? "" : "s", others == 1 ? "speaks" : "speak");
    }
  }
  if (!stack) return text;
  const std::vector<std::string> frames = stack->look(kPatienceForStack);
  if (frames.empty()) text += prefix + "  its main thread does not answer\n";
  for (const std::string& frame : frames) text += fmt::format("{}    in {}\n", prefix, frame);
  return text;
}

void await_other_reports(const Communicator& world) {
  if (!world.board()) return;
  world.board()->set_reported();
  const auto end = std::chrono::steady_clock::now() + kPatienceForOthers;
  while (!world.board()->all_reported() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace heddle
