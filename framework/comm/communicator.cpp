#include "framework/comm/communicator.h"

#include <algorithm>
#include <utility>

#include "framework/comm/rank_board.h"
#include "framework/comm/single.h"
#include "framework/core/error.h"
#include "framework/device/profile.h"

namespace heddle {
namespace {

std::string_view name_of(Reduction op) {
  switch (op) {
    case Reduction::kSum:
      return "all_reduce sum";
    case Reduction::kMin:
      return "all_reduce min";
    case Reduction::kMax:
      return "all_reduce max";
  }
  return "?";
}

}  // namespace

std::string mismatch_text(std::span<const RankAt> sides) {
  std::string message = "ranks entered different collectives: ";
  std::vector<bool> told(sides.size(), false);
  for (size_t i = 0; i < sides.size(); ++i) {
    if (told[i]) continue;
    std::string ranks;
    for (size_t other = i; other < sides.size(); ++other) {
      if (sides[other].text != sides[i].text) continue;
      told[other] = true;
      ranks += fmt::format("{}{}", ranks.empty() ? "" : ", ", sides[other].rank);
    }
    message += fmt::format("{}rank {} is at {}", i == 0 ? "" : "; ", ranks, sides[i].text);
  }
  return message;
}

Communicator::~Communicator() {
  if (channel_ >= 0) board_->close(channel_);
}

// The members of a new group find a channel for it.
void Communicator::join(std::shared_ptr<RankBoard> board, bool whole_job) {
  board_ = std::move(board);
  if (!board_ || size_ == 1) return;
  std::vector<RankBoard::Offer> offers(static_cast<size_t>(size_));
  const RankBoard::Offer mine = board_->offer();
  do_all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(offers)));
  std::string label;
  for (const RankBoard::Offer& offer : offers) {
    label += fmt::format("{}{}", label.empty() ? "of ranks " : ", ", offer.rank);
  }
  channel_ = board_->open(offers, whole_job ? "" : label);
}

void Communicator::doing(std::string_view what) {
  if (board_) board_->doing(what);
}

void Communicator::check_rank(std::string_view operation, int rank) const {
  check(rank >= 0 && rank < size_, "[{}] rank {} of a group of {}.", operation, rank, size_);
}

void Communicator::enter(std::string_view operation, std::string_view dtype, int64_t count,
                         std::string_view name) {
  {
    std::lock_guard lock(position_mutex_);
    current_.sequence += 1;
    current_.operation = operation;
    current_.dtype = dtype;
    current_.count = count;
    current_.name = name;
  }
  // Only this thread writes current_. A full comparison is told by all ranks alike.
  std::string conflict;
  if (channel_ >= 0) conflict = board_->enter(channel_, current_);
  if (verify_ && size_ > 1) return do_compare(current_);
  if (!conflict.empty()) throw Error(ExitCode::kInternal, conflict);
}

std::string Communicator::position() const {
  std::lock_guard lock(position_mutex_);
  return current_.sequence == 0 ? "" : to_string(current_);
}

std::unique_ptr<Communicator> Communicator::split(int color, int key) {
  const ProfiledStage span("split");
  enter("split", "", 0, "");
  std::unique_ptr<Communicator> part;
  if (size_ > 1)
    part = do_split(color, key);
  else if (color >= 0)
    part = make_single();
  if (!part) return nullptr;
  part->set_verify(verify_);
  part->join(board_);
  return part;
}

std::unique_ptr<Communicator> Communicator::split_by_node() {
  const ProfiledStage span("split_by_node");
  enter("split_by_node", "", 0, "");
  std::unique_ptr<Communicator> part = size_ > 1 ? do_split_by_node() : make_single();
  part->set_verify(verify_);
  part->join(board_);
  return part;
}

void Communicator::barrier(std::string_view name) {
  const ProfiledStage span("barrier");
  enter("barrier", "", 0, name);
  if (size_ > 1) do_barrier();
}

void Communicator::broadcast(std::span<std::byte> bytes, int root, std::string_view name) {
  check_rank("broadcast", root);
  const ProfiledStage span("broadcast");
  enter("broadcast", "bytes", static_cast<int64_t>(bytes.size()), name);
  if (size_ > 1) do_broadcast(bytes, root);
}

void Communicator::all_gather(std::span<const std::byte> mine, std::span<std::byte> all,
                              std::string_view name) {
  check(all.size() == mine.size() * static_cast<size_t>(size_),
        "[all_gather] room for {} bytes. Expected {}, {} for each of {} ranks.", all.size(),
        mine.size() * static_cast<size_t>(size_), mine.size(), size_);
  const ProfiledStage span("all_gather");
  enter("all_gather", "bytes", static_cast<int64_t>(mine.size()), name);
  if (size_ > 1)
    do_all_gather(mine, all);
  else
    std::copy(mine.begin(), mine.end(), all.begin());
}

std::vector<Bytes> Communicator::all_gather_v(std::span<const std::byte> mine,
                                              std::string_view name) {
  const ProfiledStage span("all_gather_v");
  enter("all_gather_v", "", 0, name);
  if (size_ > 1) return do_gather_v(mine, kAllRanks);
  return {Bytes(mine.begin(), mine.end())};
}

std::vector<Bytes> Communicator::gather_v(std::span<const std::byte> mine, int root,
                                          std::string_view name) {
  check_rank("gather_v", root);
  const ProfiledStage span("gather_v");
  enter("gather_v", "", 0, name);
  if (size_ > 1) return do_gather_v(mine, root);
  return {Bytes(mine.begin(), mine.end())};
}

template <typename T>
void Communicator::reduce(std::span<T> values, Reduction op, std::string_view dtype,
                          std::string_view name) {
  const ProfiledStage span("all_reduce");
  enter(name_of(op), dtype, static_cast<int64_t>(values.size()), name);
  if (size_ > 1 && !values.empty()) do_all_reduce(values, op);
}

void Communicator::all_reduce(std::span<float> values, Reduction op, std::string_view name) {
  reduce(values, op, "f32", name);
}
void Communicator::all_reduce(std::span<double> values, Reduction op, std::string_view name) {
  reduce(values, op, "f64", name);
}
void Communicator::all_reduce(std::span<int64_t> values, Reduction op, std::string_view name) {
  reduce(values, op, "i64", name);
}

void Communicator::send(std::span<const std::byte> bytes, int to) {
  check_rank("send", to);
  check(to != rank_, "[send] rank {} sends to itself.", to);
  const ProfiledStage span("send");
  do_send(bytes, to);
}

void Communicator::recv(std::span<std::byte> bytes, int from) {
  check_rank("recv", from);
  check(from != rank_, "[recv] rank {} receives from itself.", from);
  const ProfiledStage span("recv");
  do_recv(bytes, from);
}

void Communicator::exchange(int peer, std::span<const std::byte> out, std::span<std::byte> in) {
  check_rank("exchange", peer);
  const ProfiledStage span("exchange");
  if (peer != rank_) return do_exchange(peer, out, in);
  check(in.size() == out.size(), "[exchange] with itself: {} bytes out, {} in.", out.size(),
        in.size());
  std::copy(out.begin(), out.end(), in.begin());
}

SharedArena Communicator::allocate_shared(int64_t bytes, std::string_view name) {
  check(bytes >= 0, "[allocate_shared] {} bytes.", bytes);
  const ProfiledStage span("allocate_shared");
  enter("allocate_shared", "", 0, name);
  return size_ > 1 ? do_allocate_shared(bytes) : private_arena(bytes);
}

}  // namespace heddle
