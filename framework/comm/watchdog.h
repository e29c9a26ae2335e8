// A thread that notices when its rank makes no progress.
//
//   Watchdog dog([&](const Watchdog::Silence& s) {
//     print("rank {}: no progress for {:.0f} s in '{}'", rank, s.seconds, s.what);
//     std::_Exit(124);
//   });
//   dog.beat("reading data", std::chrono::seconds(60));   // the next beat is due within 60 s
//
// It calls no MPI and holds no lock that the rank needs. What happens on expiry is the caller's;
// see hang_report.h. With a board the ranks of a node expire together: the first raises the alarm.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace heddle {

class RankBoard;  // rank_board.h

class Watchdog {
 public:
  struct Silence {
    double seconds = 0;   // since the last beat
    std::string what;     // what that beat announced
    bool called = false;  // nothing is due here: another rank has raised the alarm
  };

  // `expired` is called on the watchdog's thread, once for each beat that is not followed in time,
  // and once if another rank of the board has raised the alarm. Beats are put on the board.
  explicit Watchdog(std::function<void(const Silence&)> expired,
                    std::shared_ptr<RankBoard> board = nullptr);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Progress: `what` begins now and must end, with another beat or rest(), within `limit`.
  void beat(std::string_view what, std::chrono::milliseconds limit);
  // Nothing is due.
  void rest();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace heddle
