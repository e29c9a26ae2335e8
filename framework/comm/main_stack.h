// What one thread is doing, seen from another.
//
//   MainStack stack;                                     // in the thread that is to be looked at
//   for (const std::string& line : stack.look(std::chrono::seconds(1))) ...   // in another
//
// The thread is interrupted by SIGURG, which nobody else wants, and notes its return addresses.
#pragma once

#include <pthread.h>

#include <chrono>
#include <csignal>
#include <string>
#include <vector>

#include "framework/comm/signal_stack.h"

namespace heddle {

class MainStack {
 public:
  // Of the calling thread. One at a time in a process: what a signal handler can reach is global.
  MainStack();
  ~MainStack();
  MainStack(const MainStack&) = delete;
  MainStack& operator=(const MainStack&) = delete;

  // The functions it is in, innermost first: "MPI_Allreduce (libmpi.so.40)"; of those without a
  // name the address for addr2line: "heddle+0x1a2b". Empty if the thread does not answer in time.
  std::vector<std::string> look(std::chrono::milliseconds patience) const;

 private:
  SignalStack own_;
  pthread_t thread_;
  struct sigaction old_ {};
};

}  // namespace heddle
