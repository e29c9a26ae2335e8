#include "framework/comm/signal_stack.h"

namespace heddle {
namespace {

// Room for the registers that the kernel saves (11 KiB with AMX) and for a handler that walks the
// stack.
constexpr size_t kBytes = size_t{128} << 10;

}  // namespace

SignalStack::SignalStack() : memory_(std::make_unique_for_overwrite<std::byte[]>(kBytes)) {
  stack_t mine{};
  mine.ss_sp = memory_.get();
  mine.ss_size = kBytes;
  sigaltstack(&mine, &old_);  // fails only for a stack below the system's least size
}

SignalStack::~SignalStack() {
  sigaltstack(&old_, nullptr);
}

}  // namespace heddle
