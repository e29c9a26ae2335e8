#include "framework/comm/threads.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "framework/comm/rank_board.h"
#include "framework/core/error.h"

namespace heddle {
namespace {

// What all ranks of one run share. One mutex and one condition for everything keeps waking after a
// failure simple; this back end is for logic, the data path is SharedArena.
struct World {
  explicit World(int ranks, int per_node) : ranks_per_node(per_node), ended(ranks, false) {}

  std::mutex mutex;
  std::condition_variable changed;
  int ranks_per_node;
  std::exception_ptr failure;
  int failed_rank = -1;
  std::vector<bool> ended;

  void fail(int rank, std::exception_ptr reason) {
    std::lock_guard lock(mutex);
    if (!failure) {
      failure = std::move(reason);
      failed_rank = rank;
    }
    changed.notify_all();
  }

  void end(int rank) {
    std::lock_guard lock(mutex);
    ended[static_cast<size_t>(rank)] = true;
    changed.notify_all();
  }
};

struct Group {
  struct Slot {
    const std::byte* data = nullptr;
    size_t bytes = 0;
    const Signature* signature = nullptr;
    std::shared_ptr<Group> child;
    std::shared_ptr<void> memory;
  };

  Group(std::shared_ptr<World> w, std::vector<int> m)
      : world(std::move(w)), members(std::move(m)), slots(members.size()) {}

  std::shared_ptr<World> world;
  std::vector<int> members;  // world rank of each rank of this group
  std::vector<Slot> slots;   // slots[r] is written by rank r before a rendezvous, read after it
  size_t arrived = 0;
  uint64_t generation = 0;
  std::map<std::pair<int, int>, std::deque<Bytes>> mail;  // (from, to)
  SpinBarrier barrier;

  // Why rank `rank` waits in vain for `awaited`, or null. Call with world->mutex held.
  std::exception_ptr in_vain(int rank, std::span<const int> awaited,
                             const std::string& where) const {
    if (world->failure) {
      return std::make_exception_ptr(Error(
          ExitCode::kInternal, fmt::format("rank {} was woken from {}: rank {} failed",
                                           members[size_t(rank)], where, world->failed_rank)));
    }
    for (int other : awaited) {
      if (!world->ended[static_cast<size_t>(other)]) continue;
      return std::make_exception_ptr(
          Error(ExitCode::kInternal, fmt::format("rank {} waits in {} for rank {}, which has ended",
                                                 members[size_t(rank)], where, other)));
    }
    return nullptr;
  }

  // Waits under `lock` until done() or until that is hopeless; done() wins.
  template <typename Done>
  void wait(std::unique_lock<std::mutex>& lock, int rank, std::span<const int> awaited,
            const std::string& where, Done done) {
    std::exception_ptr reason;
    world->changed.wait(
        lock, [&] { return done() || (reason = in_vain(rank, awaited, where)) != nullptr; });
    if (reason && !done()) std::rethrow_exception(reason);
  }

  void rendezvous(int rank, const std::string& where) {
    std::unique_lock lock(world->mutex);
    if (world->failure) std::rethrow_exception(in_vain(rank, {}, where));
    if (++arrived == members.size()) {
      arrived = 0;
      ++generation;
      world->changed.notify_all();
      return;
    }
    const uint64_t seen = generation;
    wait(lock, rank, members, where, [&] { return generation != seen; });
  }
};

template <typename T>
T combine(T a, T b, Reduction op) {
  switch (op) {
    case Reduction::kSum:
      return a + b;
    case Reduction::kMin:
      return std::min(a, b);
    case Reduction::kMax:
      return std::max(a, b);
  }
  return a;
}

class Threads final : public Communicator {
 public:
  Threads(int rank, std::shared_ptr<Group> group)
      : Communicator(rank, static_cast<int>(group->members.size())), group_(std::move(group)) {
    set_verify(true);
  }

  // For the group of all ranks: `page` is their board's.
  void share(const std::shared_ptr<void>& page) {
    join(std::make_shared<RankBoard>(page, 0, size(), rank(), rank()), true);
  }

  [[noreturn]] void abort(int code) override {
    const Error reason(static_cast<ExitCode>(code),
                       fmt::format("rank {} aborted with code {}", world_rank(), code));
    group_->world->fail(world_rank(), std::make_exception_ptr(reason));
    throw reason;
  }

 protected:
  void do_compare(const Signature& mine) override {
    slot().signature = &mine;
    meet();
    const auto differs = [&](const Group::Slot& other) { return *other.signature != mine; };
    std::string problem;
    if (std::any_of(group_->slots.begin(), group_->slots.end(), differs)) {
      std::vector<RankAt> sides;
      for (const Group::Slot& s : group_->slots) {
        sides.push_back({static_cast<int>(sides.size()), to_string(*s.signature)});
      }
      problem = mismatch_text(sides);
    }
    meet();
    if (!problem.empty()) throw Error(ExitCode::kInternal, problem);
  }

  void do_barrier() override { meet(); }

  void do_broadcast(std::span<std::byte> bytes, int root) override {
    publish(bytes);
    if (rank() != root) copy_from(root, bytes);
    meet();
  }

  void do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    publish(mine);
    for (int r = 0; r < size(); ++r) {
      copy_from(r, all.subspan(static_cast<size_t>(r) * mine.size(), mine.size()));
    }
    meet();
  }

  std::vector<Bytes> do_gather_v(std::span<const std::byte> mine, int root) override {
    publish(mine);
    std::vector<Bytes> all;
    if (root == kAllRanks || root == rank()) {
      for (const Group::Slot& s : group_->slots) all.emplace_back(s.data, s.data + s.bytes);
    }
    meet();
    return all;
  }

  void do_all_reduce(Numbers values, Reduction op) override {
    std::visit([&](auto span) { reduce_span(span, op); }, values);
  }

  // Messages are buffered: a send never waits.
  void do_send(std::span<const std::byte> bytes, int to) override {
    std::lock_guard lock(group_->world->mutex);
    group_->mail[{rank(), to}].emplace_back(bytes.begin(), bytes.end());
    group_->world->changed.notify_all();
  }

  void do_recv(std::span<std::byte> bytes, int from) override {
    Bytes message;
    {
      std::unique_lock lock(group_->world->mutex);
      std::deque<Bytes>& box = group_->mail[{from, rank()}];
      const int sender = group_->members[static_cast<size_t>(from)];
      group_->wait(lock, rank(), {&sender, 1}, fmt::format("recv from rank {}", from),
                   [&] { return !box.empty(); });
      message = std::move(box.front());
      box.pop_front();
    }
    if (message.size() != bytes.size()) {
      throw Error(ExitCode::kInternal,
                  fmt::format("rank {} sent {} bytes to rank {}, which expects {}", from,
                              message.size(), rank(), bytes.size()));
    }
    std::copy(message.begin(), message.end(), bytes.begin());
  }

  void do_exchange(int peer, std::span<const std::byte> out, std::span<std::byte> in) override {
    do_send(out, peer);
    do_recv(in, peer);
  }

  std::unique_ptr<Communicator> do_split(int color, int key) override {
    const std::array<int, 2> mine = {color, key};
    publish(std::as_bytes(std::span(mine)));
    std::vector<std::array<int, 2>> peers;  // key and rank of those with my color
    for (int r = 0; r < size(); ++r) {
      std::array<int, 2> theirs;
      copy_from(r, std::as_writable_bytes(std::span(theirs)));
      if (theirs[0] == color) peers.push_back({theirs[1], r});
    }
    std::sort(peers.begin(), peers.end());
    const int leader = peers.front()[1];
    if (leader == rank()) {
      std::vector<int> members;
      for (const auto& [_, r] : peers) members.push_back(group_->members[static_cast<size_t>(r)]);
      slot().child = std::make_shared<Group>(group_->world, std::move(members));
    }
    meet();
    const std::shared_ptr<Group> child = group_->slots[static_cast<size_t>(leader)].child;
    meet();
    slot().child.reset();
    if (color < 0) return nullptr;
    const auto at = std::find(peers.begin(), peers.end(), std::array<int, 2>{key, rank()});
    return std::make_unique<Threads>(static_cast<int>(at - peers.begin()), child);
  }

  std::unique_ptr<Communicator> do_split_by_node() override {
    return do_split(node_of(rank()), rank());
  }

  SharedArena do_allocate_shared(int64_t bytes) override {
    check(node_of(0) == node_of(size() - 1),
          "[allocate_shared] the group spans nodes {} to {}. Expected one node: split_by_node.",
          node_of(0), node_of(size() - 1));
    publish(std::as_bytes(std::span(&bytes, 1)));
    if (rank() == 0) slot().memory = std::make_shared<SharedArena::Memory>(allocate_parts());
    meet();
    SharedArena::Memory memory =
        *static_cast<const SharedArena::Memory*>(group_->slots[0].memory.get());
    meet();
    slot().memory.reset();
    memory.interrupt = [group = group_, rank = rank()] {
      std::lock_guard lock(group->world->mutex);
      return group->in_vain(rank, group->members, "a barrier in shared memory");
    };
    return SharedArena(rank(), std::move(memory));
  }

 private:
  int world_rank() const { return group_->members[static_cast<size_t>(rank())]; }
  int node_of(int r) const {
    const int per_node = group_->world->ranks_per_node;
    return per_node == 0 ? 0 : group_->members[static_cast<size_t>(r)] / per_node;
  }
  Group::Slot& slot() { return group_->slots[static_cast<size_t>(rank())]; }
  void meet() { group_->rendezvous(rank(), position()); }

  // One block: the barrier, then a part for each rank of the size that it published.
  SharedArena::Memory allocate_parts() const {
    SharedArena::Memory memory;
    int64_t total = sizeof(SpinBarrier);
    for (int r = 0; r < size(); ++r) {
      int64_t wanted = 0;
      copy_from(r, std::as_writable_bytes(std::span(&wanted, 1)));
      memory.parts.push_back({nullptr, wanted});
      total += SharedArena::padded(wanted);
    }
    auto block = std::make_shared<SharedArena>(private_arena(total));
    memory.barrier = new (block->mine()) SpinBarrier;
    std::byte* next = block->mine() + sizeof(SpinBarrier);
    for (SharedArena::Part& part : memory.parts) {
      part.data = next;
      next += SharedArena::padded(part.bytes);
    }
    memory.owner = block;
    return memory;
  }

  // Shows the other ranks these bytes until the next rendezvous.
  void publish(std::span<const std::byte> bytes) {
    slot().data = bytes.data();
    slot().bytes = bytes.size();
    meet();
  }
  void copy_from(int r, std::span<std::byte> to) const {
    const Group::Slot& from = group_->slots[static_cast<size_t>(r)];
    if (from.bytes != to.size()) {
      throw Error(ExitCode::kInternal,
                  fmt::format("rank {} brings {} bytes to {}, where rank {} expects {}", r,
                              from.bytes, position(), rank(), to.size()));
    }
    if (!to.empty()) std::memcpy(to.data(), from.data, to.size());
  }

  template <typename T>
  void reduce_span(std::span<T> values, Reduction op) {
    publish(std::as_bytes(values));
    std::vector<T> result(values.size());
    std::vector<T> theirs(values.size());
    copy_from(0, std::as_writable_bytes(std::span(result)));
    for (int r = 1; r < size(); ++r) {
      copy_from(r, std::as_writable_bytes(std::span(theirs)));
      for (size_t i = 0; i < result.size(); ++i) result[i] = combine(result[i], theirs[i], op);
    }
    meet();
    std::copy(result.begin(), result.end(), values.begin());
  }

  std::shared_ptr<Group> group_;
};

}  // namespace

void run_threads(int ranks, const std::function<void(Communicator&)>& body,
                 ThreadsOptions options) {
  check(ranks >= 1, "[run_threads] {} ranks. Expected 1 or more.", ranks);
  auto world = std::make_shared<World>(ranks, options.ranks_per_node);
  std::vector<int> members(static_cast<size_t>(ranks));
  for (int r = 0; r < ranks; ++r) members[static_cast<size_t>(r)] = r;
  auto group = std::make_shared<Group>(world, members);
  const auto board =
      std::make_shared<SharedArena>(private_arena(static_cast<int64_t>(RankBoard::bytes(ranks))));
  const std::shared_ptr<void> page(board, board->mine());
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r) {
    threads.emplace_back([&, r] {
      try {
        Threads communicator(r, group);
        communicator.share(page);
        body(communicator);
        world->end(r);
      } catch (...) {
        world->fail(r, std::current_exception());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (world->failure) std::rethrow_exception(world->failure);
}

}  // namespace heddle
