// Where the time of a rank goes: spans of ops, modules and stages, with the work that ops do.
//
//   Profile profile(100'000);
//   {
//     const ProfiledSpan span("linear", "f32");
//     count_work({.product_flops = 2.0 * rows * in * out});   // of the innermost span
//   }
//   profile.threads()[0].totals;
//
// Spans nest, on each thread for itself; a total has the time that is not of spans inside. Where no
// profile is alive a span is one branch.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framework/device/work.h"

namespace heddle {

enum class SpanKind : uint8_t {
  kOp,
  kStage,   // what is no op: reading, writing, waiting
  kModule,  // forward of a module, or what of backward is of it
  kShare,   // a thread's share of an op of the main thread
};

enum class TapePass : uint8_t { kForward, kBackward, kRecomputed };

struct SpanKey {
  std::string_view name;  // a literal; empty for a module
  std::string_view type;  // of what is computed with: "f32", "bf16", "int8"; or empty
  int32_t module = 0;     // the innermost one, of Profile::module()
  SpanKind kind = SpanKind::kOp;
  TapePass pass = TapePass::kForward;

  bool operator==(const SpanKey& other) const;  // by the place of name and type
};

struct SpanTotal {
  SpanKey key;
  int64_t calls = 0;
  int64_t nanoseconds = 0;  // without the spans inside
  Work work;
};

struct SpanEvent {
  SpanKey key;
  int64_t begin = 0, end = 0;  // nanoseconds of the profile's life
  double flops = 0, bytes = 0;
};

class ProfiledSpan;

// Records while it is alive, every thread of the process. One at a time.
class Profile {
 public:
  struct Thread {
    std::vector<SpanTotal> totals;
    std::vector<SpanEvent> events;  // by their ends
  };

  // Keeps the first `most_events` spans one by one, but for a few hundred of each thread, and the
  // totals of all.
  explicit Profile(int64_t most_events);
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  // Ends its life but for what it has recorded.
  void stop();

  static bool on() { return alive_.load(std::memory_order_relaxed) != 0; }

  // What has been recorded: the first is of the thread that made the profile. To be called by it,
  // when no other thread is within a span.
  std::vector<Thread> threads() const;
  // Path of a module, "" for 0.
  const std::string& module(int32_t module) const;
  // Spans that are in no `events`; called as threads() is.
  int64_t left_out() const;
  int64_t nanoseconds() const;  // of its life

 private:
  friend class ProfiledSpan;
  friend class RecomputedSpans;
  friend int32_t profiled_module();
  friend std::string_view profiled_name();
  friend void profile_work(const Work& work);
  struct Log;    // of a thread
  struct State;  // of the profile

  // Of this thread; null if no profile is alive, or if what runs is only counted (WorkCount).
  static Log* log();

  static inline std::atomic<uint64_t> alive_{0};  // serial number of the one that is; 0: none
  std::unique_ptr<State> state_;
};

// An op, from here to the end of the scope. Names and types are literals.
class ProfiledSpan {
 public:
  explicit ProfiledSpan(std::string_view name, std::string_view type = {})
      : ProfiledSpan(SpanKind::kOp, name, type) {}
  ~ProfiledSpan() {
    if (log_ != nullptr) end();
  }
  ProfiledSpan(const ProfiledSpan&) = delete;
  ProfiledSpan& operator=(const ProfiledSpan&) = delete;

 protected:
  ProfiledSpan(SpanKind kind, std::string_view name, std::string_view type) {
    if (Profile::on()) begin(kind, name, type);
  }
  // Of a module: from now on its path is that of what is recorded.
  ProfiledSpan(TapePass pass, int32_t module) {
    if (Profile::on()) begin(pass, module);
  }
  explicit ProfiledSpan(std::string_view module_path, TapePass) {
    if (Profile::on() && !module_path.empty()) begin(module_path);
  }

 private:
  friend class Profile;
  friend std::string_view profiled_name();
  friend void profile_work(const Work& work);
  void begin(SpanKind kind, std::string_view name, std::string_view type);
  void begin(TapePass pass, int32_t module);
  void begin(std::string_view module_path);
  void open(SpanKind kind, std::string_view name, std::string_view type);
  void end();

  Profile::Log* log_ = nullptr;  // null: nothing is recorded, and nothing else has a value
  ProfiledSpan* outer_;
  SpanKey key_, before_;
  int64_t begin_, inside_;  // ticks
  Work work_;
};

// A stage of a verb.
struct ProfiledStage : ProfiledSpan {
  explicit ProfiledStage(std::string_view name) : ProfiledSpan(SpanKind::kStage, name, {}) {}
};

// The forward of a module, unless it has no path.
struct ProfiledModule : ProfiledSpan {
  explicit ProfiledModule(std::string_view path) : ProfiledSpan(path, TapePass::kForward) {}
};

// The backward function of what was recorded in `module` (profiled_module).
struct ProfiledBackward : ProfiledSpan {
  explicit ProfiledBackward(int32_t module) : ProfiledSpan(TapePass::kBackward, module) {}
};

// What another thread does for the span `name`.
struct ProfiledShare : ProfiledSpan {
  explicit ProfiledShare(std::string_view name) : ProfiledSpan(SpanKind::kShare, name, {}) {}
};

// While one is alive, what this thread runs forward was run before.
class RecomputedSpans {
 public:
  RecomputedSpans();
  ~RecomputedSpans();
  RecomputedSpans(const RecomputedSpans&) = delete;
  RecomputedSpans& operator=(const RecomputedSpans&) = delete;

 private:
  Profile::Log* log_ = nullptr;
  TapePass before_ = TapePass::kForward;
};

// The module whose forward this thread is in; 0: none, or no profile is alive.
int32_t profiled_module();
// The name of this thread's innermost span; "" if there is none.
std::string_view profiled_name();
// Adds to the innermost span of this thread, if there is one.
void profile_work(const Work& work);

}  // namespace heddle
