#include "framework/comm/main_stack.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <thread>

#include "framework/core/error.h"

namespace heddle {
namespace {

constexpr int kMostFrames = 48;
constexpr size_t kOwnFrames = 2;  // the handler, and what the system puts under it

// A handler gets no argument of ours, so these are the exception to "no global state".
std::array<void*, kMostFrames> frames;
std::atomic<int> frame_count{0};
std::atomic<bool> in_use{false};
static_assert(std::atomic<int>::is_always_lock_free, "a handler must not lock");

extern "C" void note_frames(int) {
  const int saved = errno;
  frame_count.store(backtrace(frames.data(), kMostFrames), std::memory_order_release);
  errno = saved;
}

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  if (!text) return name;
  const std::string whole = text.get();
  return whole.substr(0, whole.find('('));
}

std::string describe(void* address) {
  Dl_info info{};
  if (dladdr(address, &info) == 0 || !info.dli_fname) return fmt::format("{}", fmt::ptr(address));
  const std::string_view path = info.dli_fname;
  const std::string_view file = path.substr(path.rfind('/') + 1);
  if (info.dli_sname) return fmt::format("{} ({})", demangled(info.dli_sname), file);
  return fmt::format(
      "{}+{:#x}", file,
      reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(info.dli_fbase));
}

}  // namespace

MainStack::MainStack() : thread_(pthread_self()) {
  check(!in_use.exchange(true), "[stack] MainStack is already in use in this process.");
  backtrace(frames.data(), 1);  // loads what it needs, which a handler must not
  struct sigaction action {};
  action.sa_handler = note_frames;
  action.sa_flags = SA_ONSTACK | SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGURG, &action, &old_);
}

MainStack::~MainStack() {
  sigaction(SIGURG, &old_, nullptr);
  in_use = false;
}

std::vector<std::string> MainStack::look(std::chrono::milliseconds patience) const {
  frame_count = 0;
  if (pthread_kill(thread_, SIGURG) != 0) return {};
  const auto end = std::chrono::steady_clock::now() + patience;
  while (frame_count.load(std::memory_order_acquire) == 0) {
    if (std::chrono::steady_clock::now() > end) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  std::vector<std::string> lines;
  const auto count = static_cast<size_t>(frame_count.load());
  for (size_t i = kOwnFrames; i < count; ++i) lines.push_back(describe(frames[i]));
  return lines;
}

}  // namespace heddle
