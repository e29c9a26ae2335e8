#include "framework/comm/rank_board.h"

#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <fstream>
#include <utility>

#include "framework/comm/rank_board_page.h"
#include "framework/core/error.h"

namespace heddle {
namespace {

constexpr size_t kMostLines = 16;  // of blame: enough to see what is wrong

// FNV-1a.
uint64_t hash_of(const Signature& s) {
  uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    hash = (hash ^ 0xff) * 0x100000001b3;
  };
  add(s.operation);
  add(s.dtype);
  add(s.name);
  return hash ^ (static_cast<uint64_t>(s.count) * 0x9e3779b97f4a7c15);
}

// A collective as a rank has it on the board.
struct Entered {
  uint64_t hash = 0;
  std::string text;  // "#7 barrier 'x' of ranks 0, 2"; "" if it is not there
};

// Number `sequence` of a channel, if its entry held that from before it was read until after: its
// rank may write the next at any moment.
Entered read(BoardChannel& channel, int64_t sequence) {
  BoardEntry& entry = channel.at(sequence);
  if (entry.sequence.load(std::memory_order_acquire) != sequence) return {};
  const uint64_t hash = entry.hash.load(std::memory_order_relaxed);
  const std::string operation = entry.operation.load();
  const std::string dtype = entry.dtype.load();
  Signature signature{.sequence = sequence,
                      .operation = operation,
                      .dtype = dtype,
                      .count = entry.count.load(std::memory_order_relaxed),
                      .name = entry.name.load()};
  std::atomic_thread_fence(std::memory_order_acquire);
  if (entry.sequence.load(std::memory_order_relaxed) != sequence) return {};
  return {hash, to_string(signature) + channel.label.load()};
}

std::string text_of(BoardChannel& channel, int64_t sequence) {
  return read(channel, sequence).text;
}

// 'R' runs, 'S' sleeps, 'T' stopped, 'Z' dead, …; 'X' if it is not there.
char state_of(int process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string line;
  std::getline(file, line);
  const size_t name_ends = line.rfind(')');
  return name_ends == std::string::npos || name_ends + 2 >= line.size() ? 'X' : line[name_ends + 2];
}

bool is_stopped(char state) {
  return state == 'T' || state == 't';
}
bool is_gone(char state) {
  return state == 'Z' || state == 'X';
}

}  // namespace

size_t RankBoard::bytes(int ranks) {
  return sizeof(Page) + static_cast<size_t>(ranks) * sizeof(BoardRank);
}

RankBoard::RankBoard(std::shared_ptr<void> page, uint64_t id, int places, int mine, int rank)
    : owner_(std::move(page)),
      page_(*static_cast<Page*>(owner_.get())),
      id_(id),
      places_(places),
      mine_(mine),
      rank_(rank),
      channels_(kChannels) {
  BoardRank& me = page_.rank(mine_);
  me.rank = rank;
  me.process.store(getpid(), std::memory_order_release);
}

RankBoard::Offer RankBoard::offer() const {
  return {id_, used_, groups_, mine_, rank_};
}

int RankBoard::open(std::span<const Offer> members, std::string_view label) {
  uint64_t used = 0;
  for (const Offer& member : members) {
    used |= member.used;
    groups_ = std::max(groups_, member.groups);
  }
  ++groups_;
  const int channel = std::countr_one(used);
  if (channel >= kChannels) return -1;
  used_ |= uint64_t{1} << channel;
  Channel& mine = channels_[static_cast<size_t>(channel)];
  // Groups that are split off together have the same count and different first ranks.
  mine.group = groups_ << 24 | static_cast<uint32_t>(members[0].rank);
  mine.places.clear();
  for (const Offer& member : members) {
    if (member.page == id_ && member.place != mine_) mine.places.push_back(member.place);
  }
  BoardChannel& line = page_.rank(mine_).channels[static_cast<size_t>(channel)];
  for (BoardEntry& entry : line.ring) entry.sequence = 0;
  line.sequence = 0;
  line.label.store(label.empty() ? "" : fmt::format(" {}", label));
  line.group.store(mine.group);
  return channel;
}

void RankBoard::close(int channel) {
  page_.rank(mine_).channels[static_cast<size_t>(channel)].group = 0;
  used_ &= ~(uint64_t{1} << channel);
}

std::string RankBoard::enter(int channel, const Signature& signature) {
  BoardRank& me = page_.rank(mine_);
  BoardChannel& line = me.channels[static_cast<size_t>(channel)];
  BoardEntry& entry = line.at(signature.sequence);
  const uint64_t hash = hash_of(signature);
  entry.sequence.store(0, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  entry.hash.store(hash, std::memory_order_relaxed);
  entry.count.store(signature.count, std::memory_order_relaxed);
  entry.dtype.store(signature.dtype);
  entry.operation.store(signature.operation);
  entry.name.store(signature.name);
  line.sequence.store(signature.sequence, std::memory_order_release);
  me.channel.store(channel + 1, std::memory_order_relaxed);
  // Each rank writes and then looks, in one order for all: the later of two sees the earlier.
  entry.sequence.store(signature.sequence, std::memory_order_seq_cst);
  for (const int place : channels_[static_cast<size_t>(channel)].places) {
    BoardChannel& other = page_.rank(place).channels[static_cast<size_t>(channel)];
    BoardEntry& theirs = other.at(signature.sequence);
    if (theirs.sequence.load(std::memory_order_seq_cst) != signature.sequence) continue;
    if (theirs.hash.load(std::memory_order_relaxed) == hash) continue;
    if (std::string text = conflict(channel, signature, hash); !text.empty()) return text;
  }
  return "";
}

std::string RankBoard::conflict(int channel, const Signature& mine, uint64_t hash) const {
  const Channel& group = channels_[static_cast<size_t>(channel)];
  std::vector<RankAt> sides = {{rank_, ""}};
  bool differ = false;
  BoardChannel& line = page_.rank(mine_).channels[static_cast<size_t>(channel)];
  sides[0].text = text_of(line, mine.sequence);
  for (const int place : group.places) {
    BoardRank& other = page_.rank(place);
    BoardChannel& theirs = other.channels[static_cast<size_t>(channel)];
    // What an earlier or a later group of this channel has there does not count. That rank may go
    // from one to the next at any moment: only what was read while it was in this one is of it.
    if (theirs.group.load() != group.group) continue;
    Entered entered = read(theirs, mine.sequence);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (entered.text.empty() || theirs.group.load() != group.group) continue;
    differ = differ || entered.hash != hash;
    sides.push_back({other.rank.load(std::memory_order_relaxed), std::move(entered.text)});
  }
  return differ ? mismatch_text(sides) : "";
}

void RankBoard::doing(std::string_view what) {
  page_.rank(mine_).doing.store(what);
}

std::string RankBoard::position() const {
  return describe(mine_);
}

std::string RankBoard::describe(int place) const {
  BoardRank& rank = page_.rank(place);
  const int channel = rank.channel.load(std::memory_order_relaxed);
  if (channel == 0) return "";
  BoardChannel& line = rank.channels[static_cast<size_t>(channel - 1)];
  return text_of(line, line.sequence.load(std::memory_order_acquire));
}

// The first collective that another rank has entered, and the one at `place`, which is of the same
// group, has not; "" if there is none.
std::string RankBoard::missed_by(int place) const {
  for (int from = 0; from < places_; ++from) {
    BoardRank& other = page_.rank(from);
    const int channel = other.channel.load(std::memory_order_relaxed);
    if (from == place || channel == 0) continue;
    BoardChannel& theirs = other.channels[static_cast<size_t>(channel - 1)];
    BoardChannel& its = page_.rank(place).channels[static_cast<size_t>(channel - 1)];
    const uint64_t group = theirs.group.load();
    if (group == 0 || its.group.load() != group) continue;
    const int64_t entered = its.sequence.load(std::memory_order_acquire);
    const int64_t asked = theirs.sequence.load(std::memory_order_acquire);
    if (entered >= asked) continue;
    std::string text = text_of(theirs, entered + 1);
    if (text.empty()) text = text_of(theirs, asked);
    if (!text.empty()) return text;
  }
  return "";
}

std::vector<std::string> RankBoard::blame() const {
  std::vector<std::string> lines;
  for (int place = 0; place < places_; ++place) {
    BoardRank& rank = page_.rank(place);
    const int process = rank.process.load(std::memory_order_acquire);
    const char state = state_of(process);
    const std::string missed = missed_by(place);
    std::string line = fmt::format("rank {}", rank.rank.load(std::memory_order_relaxed));
    if (!missed.empty())
      line += " never entered " + missed;
    else if (is_stopped(state) || is_gone(state))
      line += " does not answer";
    else
      continue;
    if (const std::string doing = rank.doing.load(); !doing.empty()) {
      line += fmt::format("; it is in: {}", doing);
    }
    if (const std::string last = describe(place); !last.empty()) {
      line += fmt::format("; last entered {}", last);
    }
    if (is_stopped(state)) line += fmt::format("; its process {} is stopped", process);
    if (is_gone(state)) line += fmt::format("; its process {} is gone", process);
    lines.push_back(std::move(line));
  }
  if (lines.size() > kMostLines) {
    const size_t more = lines.size() - kMostLines;
    lines.resize(kMostLines);
    lines.push_back(fmt::format("and {} more ranks", more));
  }
  if (lines.empty()) {
    lines.push_back(fmt::format("all ranks of this node have entered {}", position()));
  }
  return lines;
}

bool RankBoard::raise_alarm() {
  return page_.alarm.exchange(1) == 0;
}

bool RankBoard::alarmed() const {
  return page_.alarm.load(std::memory_order_relaxed) != 0;
}

void RankBoard::set_reported() {
  page_.rank(mine_).reported = 1;
}

bool RankBoard::all_reported() const {
  for (int place = 0; place < places_; ++place) {
    BoardRank& rank = page_.rank(place);
    if (rank.reported.load() != 0) continue;
    const char state = state_of(rank.process.load(std::memory_order_acquire));
    if (!is_stopped(state) && !is_gone(state)) return false;
  }
  return true;
}

}  // namespace heddle
