// A stack for signal handlers, apart from the thread's own.
//
//   SignalStack stack;                     // of the calling thread, until the end of the scope
//   action.sa_flags = SA_ONSTACK | …;      // and each handler asks for it
//
// Without it a handler may destroy what it interrupts: the matrix products that oneDNN generates
// for AVX2 point the stack pointer into a work space on the heap while they run (2.6's
// jit_avx_gemm_f32), and the kernel would lay the handler's frame over whatever is below.
// Threads that calculate and have none block all signals (ThreadPool).
#pragma once

#include <csignal>
#include <cstddef>
#include <memory>

namespace heddle {

class SignalStack {
 public:
  SignalStack();
  // On the thread that made it, after those it has made since.
  ~SignalStack();
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;

 private:
  std::unique_ptr<std::byte[]> memory_;
  stack_t old_{};
};

}  // namespace heddle
