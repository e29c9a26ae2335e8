// Asked to stop: SIGTERM, SIGUSR1 and SIGINT (Ctrl-C) set a flag that a loop looks at between
// steps. A second SIGINT ends the process, as ever.
//
//   StopSignals signals;                 // installed here, restored at the end of the scope
//   while (...) { step(); if (signals.received() != 0) break; }
#pragma once

#include <csignal>

#include "framework/comm/signal_stack.h"

namespace heddle {

class StopSignals {
 public:
  // On the thread that calculates. One at a time in a process: what a signal handler can reach is
  // global.
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // The last of the signals that arrived since construction; 0: none.
  int received() const;

 private:
  SignalStack stack_;
  struct sigaction old_term_ {};
  struct sigaction old_usr1_ {};
  struct sigaction old_int_ {};
};

}  // namespace heddle
