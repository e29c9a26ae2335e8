// Where a tensor lives and where an op runs.
//
//   on_device(x.device(), [&](auto on) { kernels::softmax(on, x, y); });
//
// `on` is a tag (Cpu) that carries what a kernel needs: kernels have no globals. On the meta device
// nothing is called: shapes are inferred for free and the planner runs the real model.
#pragma once

#include <cstdint>
#include <functional>

#include "framework/device/thread_pool.h"

namespace heddle {

enum class DeviceType : uint8_t { kCpu, kMeta };

// A CPU kernel's context: the threads of this rank.
struct Cpu {
  ThreadPool* pool = nullptr;

  int threads() const { return pool ? pool->threads() : 1; }
  // Calls task(i) for each i in [0, count), on the pool if there is one.
  void parallel_for(int64_t count, const std::function<void(int64_t)>& task) const {
    if (pool) return pool->parallel_for(count, task);
    for (int64_t i = 0; i < count; ++i) task(i);
  }
};

// A value; the pool, which outlives every tensor on the device, is not owned.
class Device {
 public:
  static Device cpu(ThreadPool* pool = nullptr) { return Device(DeviceType::kCpu, pool); }
  static Device meta() { return Device(DeviceType::kMeta, nullptr); }

  DeviceType type() const { return type_; }
  bool is_meta() const { return type_ == DeviceType::kMeta; }
  ThreadPool* pool() const { return pool_; }
  bool operator==(const Device& other) const { return type_ == other.type_; }

 private:
  Device(DeviceType type, ThreadPool* pool) : type_(type), pool_(pool) {}

  DeviceType type_;
  ThreadPool* pool_;
};

// Calls f with the device's tag; not at all for meta.
template <typename F>
void on_device(const Device& device, F&& f) {
  if (device.type() == DeviceType::kCpu) f(Cpu{device.pool()});
}

}  // namespace heddle
