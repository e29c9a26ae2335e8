#include "framework/device/profile.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace heddle {
namespace {

// A tick is a nanosecond of the steady clock or, where the kernel itself trusts it, a step of the
// processor's counter: that is read without a memory access.
bool has_counter() {
  std::string source;
  std::ifstream("/sys/devices/system/clocksource/clocksource0/current_clocksource") >> source;
  return source == "tsc";
}

int64_t clock_nanoseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

int64_t ticks(bool counter) {
  return counter ? static_cast<int64_t>(__rdtsc()) : clock_nanoseconds();
}

// A moment by both clocks.
struct Moment {
  explicit Moment(bool counter) : tick(ticks(counter)), nanoseconds(tick) {
    if (!counter) return;
    // Of some tries, that between whose readings the least has passed.
    int64_t least = std::numeric_limits<int64_t>::max();
    for (int i = 0; i < 5; ++i) {
      const int64_t before = ticks(counter), now = clock_nanoseconds(), after = ticks(counter);
      if (after - before >= least) continue;
      least = after - before;
      tick = before + least / 2;
      nanoseconds = now;
    }
  }

  int64_t tick, nanoseconds;
};

constexpr size_t kPending = 256;  // spans
constexpr size_t kChunk = 4096;   // events

struct Hash {
  size_t operator()(const SpanKey& key) const {
    const auto place =
        reinterpret_cast<size_t>(key.name.data()) * 31 + reinterpret_cast<size_t>(key.type.data());
    return place * 31 + static_cast<size_t>(key.module) * 16 + static_cast<size_t>(key.kind) * 4 +
           static_cast<size_t>(key.pass);
  }
};

std::atomic<uint64_t> profiles{0};  // ever made
std::mutex changes;                 // of `current`
Profile* current = nullptr;         // the one that is alive

}  // namespace

bool SpanKey::operator==(const SpanKey& other) const {
  return name.data() == other.name.data() && type.data() == other.type.data() &&
         module == other.module && kind == other.kind && pass == other.pass;
}

// Between two spans an op has been through the caches: what a span reads it waits for. So what it
// needs of its log is in one line, and its end only writes, to the next place of `pending`; the
// look-ups of totals and events are done for many at once.
struct Profile::Log {
  struct Ended {
    SpanKey key;
    int64_t begin, end, inside;  // ticks
    Work work;
  };

  int64_t now() const { return ticks(counter); }

  void add(const Ended& span) {
    pending[count++] = span;
    if (count == kPending) settle();
  }
  void settle();

  alignas(64) ProfiledSpan* top = nullptr;
  size_t count = 0;  // of `pending`
  int32_t module = 0;
  TapePass pass = TapePass::kForward;
  bool counter = false;
  State* state = nullptr;
  std::array<Ended, kPending> pending;
  std::unordered_map<SpanKey, SpanTotal, Hash> totals;  // in ticks
  std::vector<std::vector<SpanEvent>> chunks;           // in ticks, not from the beginning
  std::map<std::string, int32_t, std::less<>> modules;  // that this thread has met

  // Of the thread that asks: its log, and the profile that this is of.
  static inline thread_local Log* mine = nullptr;
  static inline thread_local uint64_t serial_of_mine = 0;
};

struct Profile::State {
  explicit State(int64_t most) : most_events(most) {}

  // When its life ended, or now.
  Moment last() const { return ended ? *ended : Moment(counter); }

  // For the thread that asks.
  void add_log() {
    std::lock_guard lock(mutex);
    logs.push_back(std::make_unique<Log>());
    logs.back()->state = this;
    logs.back()->counter = counter;
    Log::mine = logs.back().get();
    Log::serial_of_mine = serial;
  }

  int32_t intern(std::string_view path) {
    std::lock_guard lock(mutex);
    const auto [found, added] =
        modules.try_emplace(std::string(path), static_cast<int32_t>(paths.size()));
    if (added) paths.push_back(&found->first);
    return found->second;
  }

  const bool counter = has_counter();
  const Moment begun{counter};
  std::optional<Moment> ended;
  const int64_t most_events;
  const uint64_t serial = ++profiles;
  std::atomic<int64_t> events{0};  // kept or left out
  std::mutex mutex;
  std::vector<std::unique_ptr<Log>> logs;
  std::map<std::string, int32_t, std::less<>> modules{{"", 0}};
  std::vector<const std::string*> paths{&modules.begin()->first};
};

void Profile::Log::settle() {
  const auto ended = static_cast<int64_t>(count);
  int64_t kept = state->most_events - state->events.fetch_add(ended, std::memory_order_relaxed);
  for (size_t i = 0; i < count; ++i) {
    const Ended& span = pending[i];
    SpanTotal& total = totals[span.key];
    ++total.calls;
    total.nanoseconds += span.end - span.begin - span.inside;
    total.work += span.work;
    if (kept-- <= 0) continue;
    if (chunks.empty() || chunks.back().size() == kChunk) chunks.emplace_back().reserve(kChunk);
    chunks.back().push_back({.key = span.key,
                             .begin = span.begin,
                             .end = span.end,
                             .flops = span.work.product_flops + span.work.attention_flops,
                             .bytes = span.work.moved_bytes});
  }
  count = 0;
}

Profile::Log* Profile::log() {
  const uint64_t serial = alive_.load(std::memory_order_acquire);
  if (serial == 0 || WorkCount::counts()) return nullptr;
  if (Log::serial_of_mine != serial) {
    std::lock_guard lock(changes);
    if (current == nullptr) return nullptr;
    current->state_->add_log();
  }
  return Log::mine;
}

Profile::Profile(int64_t most_events) : state_(std::make_unique<State>(most_events)) {
  std::lock_guard lock(changes);
  if (current != nullptr) throw std::invalid_argument("[profile] another one is alive.");
  state_->add_log();  // the first is of this thread
  current = this;
  alive_ = state_->serial;
}

Profile::~Profile() {
  stop();
}

void Profile::stop() {
  std::lock_guard lock(changes);
  if (current != this) return;
  alive_ = 0;
  current = nullptr;
  state_->ended.emplace(state_->counter);
}

std::vector<Profile::Thread> Profile::threads() const {
  const Moment first = state_->begun, last = state_->last();
  const double tick = static_cast<double>(last.nanoseconds - first.nanoseconds) /
                      static_cast<double>(std::max<int64_t>(1, last.tick - first.tick));
  const auto to_nanoseconds = [&](int64_t& ticks) {
    ticks = static_cast<int64_t>(static_cast<double>(ticks) * tick);
  };
  std::lock_guard lock(state_->mutex);
  std::vector<Thread> threads;
  for (const auto& log : state_->logs) {
    log->settle();
    Thread& thread = threads.emplace_back();
    for (const auto& [key, total] : log->totals) {
      thread.totals.push_back(total);
      thread.totals.back().key = key;
      to_nanoseconds(thread.totals.back().nanoseconds);
    }
    thread.events.reserve(log->chunks.size() * kChunk);
    for (const auto& chunk : log->chunks) {
      for (SpanEvent event : chunk) {
        event.begin -= first.tick;
        event.end -= first.tick;
        to_nanoseconds(event.begin);
        to_nanoseconds(event.end);
        thread.events.push_back(event);
      }
    }
  }
  return threads;
}

const std::string& Profile::module(int32_t module) const {
  std::lock_guard lock(state_->mutex);
  return *state_->paths[static_cast<size_t>(module)];
}

int64_t Profile::left_out() const {
  std::lock_guard lock(state_->mutex);
  for (const auto& log : state_->logs) log->settle();
  return std::max<int64_t>(0, state_->events - state_->most_events);
}

int64_t Profile::nanoseconds() const {
  return state_->last().nanoseconds - state_->begun.nanoseconds;
}

void ProfiledSpan::open(SpanKind kind, std::string_view name, std::string_view type) {
  key_ = {.name = name, .type = type, .module = log_->module, .kind = kind, .pass = log_->pass};
  outer_ = std::exchange(log_->top, this);
  inside_ = 0;
  begin_ = log_->now();
}

void ProfiledSpan::begin(SpanKind kind, std::string_view name, std::string_view type) {
  log_ = Profile::log();
  if (log_ == nullptr) return;
  before_.module = log_->module;
  before_.pass = log_->pass;
  open(kind, name, type);
}

void ProfiledSpan::begin(TapePass pass, int32_t module) {
  log_ = Profile::log();
  if (log_ == nullptr) return;
  before_.module = std::exchange(log_->module, module);
  before_.pass = std::exchange(log_->pass, pass);
  open(SpanKind::kModule, {}, {});
}

void ProfiledSpan::begin(std::string_view module_path) {
  Profile::Log* log = Profile::log();
  if (log == nullptr) return;
  auto found = log->modules.find(module_path);
  if (found == log->modules.end()) {
    found = log->modules.emplace(module_path, log->state->intern(module_path)).first;
  }
  begin(log->pass, found->second);
}

void ProfiledSpan::end() {
  Profile::Log& log = *log_;
  const int64_t now = log.now();
  log.top = outer_;
  log.module = before_.module;
  log.pass = before_.pass;
  if (outer_ != nullptr) outer_->inside_ += now - begin_;
  log.add({.key = key_, .begin = begin_, .end = now, .inside = inside_, .work = work_});
}

RecomputedSpans::RecomputedSpans() {
  if (!Profile::on()) return;
  log_ = Profile::log();
  if (log_ != nullptr) before_ = std::exchange(log_->pass, TapePass::kRecomputed);
}

RecomputedSpans::~RecomputedSpans() {
  if (log_ != nullptr) log_->pass = before_;
}

int32_t profiled_module() {
  if (!Profile::on()) return 0;
  const Profile::Log* log = Profile::log();
  return log != nullptr ? log->module : 0;
}

std::string_view profiled_name() {
  if (!Profile::on()) return {};
  const Profile::Log* log = Profile::log();
  return log != nullptr && log->top != nullptr ? log->top->key_.name : std::string_view();
}

void profile_work(const Work& work) {
  if (!Profile::on()) return;
  const Profile::Log* log = Profile::log();
  if (log != nullptr && log->top != nullptr) log->top->work_ += work;
}

}  // namespace heddle
