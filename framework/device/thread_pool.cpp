#include "framework/device/thread_pool.h"

#include <immintrin.h>
#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "framework/device/profile.h"

namespace heddle {
namespace {

// Denormals are flushed in every thread alike (numerics): set once per thread.
void flush_denormals() {
  _mm_setcsr(_mm_getcsr() | 0x8040u);
}

// Workers take no signals: a handler that ran in the middle of a matrix product would write over it
// (framework/comm/signal_stack.h). Those of the hardware, such as a fault, come all the same.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

// Spins this often before it sleeps: the gap between two ops of a step is a few microseconds.
constexpr int kSpins = 2000;

}  // namespace

struct ThreadPool::State {
  std::vector<std::thread> workers;
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<uint64_t> generation{0};  // grows by one per parallel_for
  std::atomic<int> pending{0};          // workers that have not finished the current generation
  std::atomic<int64_t> next{0};
  std::atomic<bool> stop{false};
  int64_t count = 0;
  const std::function<void(int64_t)>* task = nullptr;
  std::string_view name;  // of the span that the task is of
  std::exception_ptr error;

  void drain() {
    for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      try {
        (*task)(i);
      } catch (...) {
        std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
      }
    }
  }

  void work() {
    flush_denormals();
    uint64_t seen = 0;
    while (true) {
      for (int spin = 0; spin < kSpins && generation.load() == seen && !stop.load(); ++spin) {
        _mm_pause();
      }
      if (generation.load() == seen) {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return generation.load() != seen || stop.load(); });
      }
      if (stop.load()) return;
      seen = generation.load();
      {
        const ProfiledShare span(name);
        drain();
      }
      pending.fetch_sub(1);
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  flush_denormals();
  const SignalsBlocked inherited;
  for (int i = 1; i < threads; ++i) state_->workers.emplace_back([this] { state_->work(); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const {
  return static_cast<int>(state_->workers.size()) + 1;
}

void ThreadPool::parallel_for(int64_t count, const std::function<void(int64_t)>& task) {
  if (count <= 1 || state_->workers.empty()) {
    for (int64_t i = 0; i < count; ++i) task(i);
    return;
  }
  State& s = *state_;
  s.task = &task;
  s.name = profiled_name();
  s.count = count;
  s.next = 0;
  s.pending = static_cast<int>(s.workers.size());
  {
    std::lock_guard lock(s.mutex);
    s.generation.fetch_add(1);
  }
  s.wake.notify_all();
  s.drain();
  for (int spin = 0; s.pending.load() != 0; ++spin) {
    if (spin < kSpins)
      _mm_pause();
    else
      std::this_thread::yield();
  }
  if (s.error) std::rethrow_exception(std::exchange(s.error, nullptr));
}

}  // namespace heddle
