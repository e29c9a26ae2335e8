#include "framework/comm/watchdog.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "framework/comm/rank_board.h"

namespace heddle {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook(200);

struct Watchdog::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::function<void(const Silence&)> expired;
  std::string what;
  Clock::time_point begin = Clock::now();
  Clock::time_point due = Clock::time_point::max();
  bool stop = false;
  std::thread thread;

  std::shared_ptr<RankBoard> board;
  bool heard = false;  // the alarm, of this rank or another

  // A beat only moves `due`; the thread wakes at the old one and looks again, so beats cost
  // nothing. With a board it looks there five times a second.
  void watch() {
    std::unique_lock lock(mutex);
    while (!stop) {
      const Clock::time_point now = Clock::now();
      if (now >= due) {
        expire(lock, false);
      } else if (board && !heard && board->alarmed()) {
        expire(lock, true);
      } else if (board) {
        changed.wait_until(lock, std::min(due, now + kLook));
      } else if (due == Clock::time_point::max()) {
        changed.wait(lock);
      } else {
        changed.wait_until(lock, Clock::time_point(due));
      }
    }
  }

  void expire(std::unique_lock<std::mutex>& lock, bool called) {
    heard = true;
    // Only the first to raise it was not called.
    if (board && !called) called = !board->raise_alarm();
    const std::chrono::duration<double> silent = Clock::now() - begin;
    const Silence silence{silent.count(), what, called};
    due = Clock::time_point::max();
    lock.unlock();
    expired(silence);
    lock.lock();
  }
};

Watchdog::Watchdog(std::function<void(const Silence&)> expired, std::shared_ptr<RankBoard> board)
    : state_(std::make_unique<State>()) {
  state_->expired = std::move(expired);
  state_->board = std::move(board);
  state_->thread = std::thread([this] { state_->watch(); });
}

Watchdog::~Watchdog() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

void Watchdog::beat(std::string_view what, std::chrono::milliseconds limit) {
  if (state_->board) state_->board->doing(what);
  bool sooner = false;
  {
    std::lock_guard lock(state_->mutex);
    state_->what = what;
    state_->begin = Clock::now();
    const Clock::time_point due = state_->begin + limit;
    sooner = due < state_->due;
    state_->due = due;
  }
  if (sooner) state_->changed.notify_all();
}

void Watchdog::rest() {
  std::lock_guard lock(state_->mutex);
  state_->due = Clock::time_point::max();
}

}  // namespace heddle
