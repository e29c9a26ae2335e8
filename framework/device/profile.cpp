#include "framework/device/profile.h"

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace heddle {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kChunk = 4096;  // events

struct Hash {
  size_t operator()(const SpanKey& key) const {
    const auto place =
        reinterpret_cast<size_t>(key.name.data()) * 31 + reinterpret_cast<size_t>(key.type.data());
    return place * 31 + static_cast<size_t>(key.module) * 16 + static_cast<size_t>(key.kind) * 4 +
           static_cast<size_t>(key.pass);
  }
};

std::atomic<uint64_t> profiles{0};

}  // namespace

bool SpanKey::operator==(const SpanKey& other) const {
  return name.data() == other.name.data() && type.data() == other.type.data() &&
         module == other.module && kind == other.kind && pass == other.pass;
}

struct Profile::Log {
  State* state;
  ProfiledSpan* top = nullptr;
  int32_t module = 0;
  TapePass pass = TapePass::kForward;
  std::unordered_map<SpanKey, SpanTotal, Hash> totals;
  std::vector<std::vector<SpanEvent>> chunks;
  std::map<std::string, int32_t, std::less<>> modules;  // that this thread has met
};

struct Profile::State {
  explicit State(int64_t most) : most_events(most) {}

  int64_t now() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begun).count();
  }

  Log* add_log() {
    std::lock_guard lock(mutex);
    logs.push_back(std::make_unique<Log>());
    logs.back()->state = this;
    return logs.back().get();
  }

  int32_t intern(std::string_view path) {
    std::lock_guard lock(mutex);
    const auto [found, added] =
        modules.try_emplace(std::string(path), static_cast<int32_t>(paths.size()));
    if (added) paths.push_back(&found->first);
    return found->second;
  }

  const Clock::time_point begun = Clock::now();
  const int64_t most_events;
  const uint64_t serial = ++profiles;
  int64_t ended = 0;               // 0: not yet
  std::atomic<int64_t> events{0};  // kept or left out
  std::mutex mutex;
  std::vector<std::unique_ptr<Log>> logs;
  std::map<std::string, int32_t, std::less<>> modules{{"", 0}};
  std::vector<const std::string*> paths{&modules.begin()->first};
};

namespace {

std::atomic<Profile*> current{nullptr};

}  // namespace

Profile::Log* Profile::log() {
  struct Mine {
    uint64_t serial = 0;  // of the profile that the log is of
    Log* log = nullptr;
  };
  thread_local Mine mine;
  const Profile* profile = current.load(std::memory_order_acquire);
  if (profile == nullptr || WorkCount::counts()) return nullptr;
  if (mine.serial != profile->state_->serial) {
    mine = {profile->state_->serial, profile->state_->add_log()};
  }
  return mine.log;
}

Profile::Profile(int64_t most_events) : state_(std::make_unique<State>(most_events)) {
  Profile* none = nullptr;
  if (!current.compare_exchange_strong(none, this)) {
    throw std::invalid_argument("[profile] another one is alive.");
  }
  log();  // the first
  on_ = true;
}

Profile::~Profile() {
  stop();
}

void Profile::stop() {
  if (current.load() != this) return;
  on_ = false;
  current = nullptr;
  state_->ended = state_->now();
}

std::vector<Profile::Thread> Profile::threads() const {
  std::lock_guard lock(state_->mutex);
  std::vector<Thread> threads;
  for (const auto& log : state_->logs) {
    Thread& thread = threads.emplace_back();
    for (const auto& [key, total] : log->totals) {
      thread.totals.push_back(total);
      thread.totals.back().key = key;
    }
    for (const auto& chunk : log->chunks) {
      thread.events.insert(thread.events.end(), chunk.begin(), chunk.end());
    }
  }
  return threads;
}

const std::string& Profile::module(int32_t module) const {
  std::lock_guard lock(state_->mutex);
  return *state_->paths[static_cast<size_t>(module)];
}

int64_t Profile::left_out() const {
  return std::max<int64_t>(0, state_->events - state_->most_events);
}

int64_t Profile::nanoseconds() const {
  return state_->ended > 0 ? state_->ended : state_->now();
}

void ProfiledSpan::open(SpanKind kind, std::string_view name, std::string_view type) {
  key_ = {.name = name, .type = type, .module = log_->module, .kind = kind, .pass = log_->pass};
  outer_ = std::exchange(log_->top, this);
  inside_ = 0;
  begin_ = log_->state->now();
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
  const int64_t now = log.state->now();
  log.top = outer_;
  log.module = before_.module;
  log.pass = before_.pass;
  if (outer_ != nullptr) outer_->inside_ += now - begin_;
  SpanTotal& total = log.totals[key_];
  ++total.calls;
  total.nanoseconds += now - begin_ - inside_;
  total.work += work_;
  if (log.state->events.fetch_add(1, std::memory_order_relaxed) >= log.state->most_events) return;
  if (log.chunks.empty() || log.chunks.back().size() == kChunk) {
    const bool is_first = log.chunks.empty();  // perhaps of a thread that lives for one span
    log.chunks.emplace_back().reserve(is_first ? 0 : kChunk);
  }
  log.chunks.back().push_back({.key = key_,
                               .begin = begin_,
                               .end = now,
                               .flops = work_.product_flops + work_.attention_flops,
                               .bytes = work_.moved_bytes});
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
