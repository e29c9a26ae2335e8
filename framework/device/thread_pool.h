// Threads that share the work of one rank.
//
//   pool.parallel_for(rows, [&](int64_t row) { ... });
//
// Work is split by *output*, never within a sum, so the number of threads cannot change a result.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace heddle {

class ThreadPool {
 public:
  // `threads` counts the calling thread; 1 makes a pool without threads of its own.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // Calls task(i) once for each i in [0, count), in no particular order, and returns when all are
  // done. The first exception that a task throws is rethrown here. Not to be called from a task,
  // and from one thread at a time.
  void parallel_for(int64_t count, const std::function<void(int64_t)>& task);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace heddle
