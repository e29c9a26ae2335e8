#include "framework/comm/signals.h"

#include <atomic>

#include "framework/core/error.h"

namespace heddle {
namespace {

// A handler gets no argument of ours, so these are the exception to "no global state".
std::atomic<int> received_signal{0};
std::atomic<bool> installed{false};
static_assert(std::atomic<int>::is_always_lock_free, "a handler must not lock");

extern "C" void remember(int signal) {
  received_signal.store(signal, std::memory_order_relaxed);
}

}  // namespace

StopSignals::StopSignals() {
  check(!installed.exchange(true), "[signals] StopSignals is already in use in this process.");
  received_signal = 0;
  struct sigaction action {};
  action.sa_handler = remember;
  action.sa_flags = SA_ONSTACK | SA_RESTART;  // reads and writes go on; only the loop reacts
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, &old_term_);
  sigaction(SIGUSR1, &action, &old_usr1_);
  action.sa_flags |= SA_RESETHAND;
  sigaction(SIGINT, &action, &old_int_);
}

StopSignals::~StopSignals() {
  sigaction(SIGTERM, &old_term_, nullptr);
  sigaction(SIGUSR1, &old_usr1_, nullptr);
  sigaction(SIGINT, &old_int_, nullptr);
  installed = false;
}

int StopSignals::received() const {
  return received_signal.load(std::memory_order_relaxed);
}

}  // namespace heddle
