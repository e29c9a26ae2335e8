#include "framework/comm/watchdog.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace heddle {

using Clock = std::chrono::steady_clock;

struct Watchdog::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::function<void(const Silence&)> expired;
  std::string what;
  Clock::time_point begin;
  Clock::time_point due = Clock::time_point::max();
  bool stop = false;
  std::thread thread;

  // A beat only moves `due`; the thread wakes at the old one and looks again, so beats cost
  // nothing.
  void watch() {
    std::unique_lock lock(mutex);
    while (!stop) {
      if (due == Clock::time_point::max()) {
        changed.wait(lock);
      } else if (Clock::now() < due) {
        changed.wait_until(lock, Clock::time_point(due));
      } else {
        const std::chrono::duration<double> silent = Clock::now() - begin;
        const Silence silence{silent.count(), what};
        due = Clock::time_point::max();
        lock.unlock();
        expired(silence);
        lock.lock();
      }
    }
  }
};

Watchdog::Watchdog(std::function<void(const Silence&)> expired)
    : state_(std::make_unique<State>()) {
  state_->expired = std::move(expired);
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
