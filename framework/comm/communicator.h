// A group of ranks that work together, whatever carries their messages.
//
//   std::vector<float> loss = {local_loss};
//   world.all_reduce(std::span<float>(loss), Reduction::kSum, "loss");
//   std::unique_ptr<Communicator> node = world.split_by_node();
//   SharedArena arena = node->allocate_shared(bytes);
//
// Back ends: single (single.h), threads (threads.h), MPI (mpi_environment.h). Collectives are
// entered by every rank of the group in the same order; each takes an optional name that shows up
// in the watchdog's and the mismatch message. All calls of a rank come from one thread. A group of
// one returns its input. Sums here are the library's own order: for sums that must have the same
// bits on any number of ranks see framework/parallel/tree_reduce.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "framework/comm/shared_arena.h"
#include "framework/comm/signature.h"

namespace heddle {

enum class Reduction : uint8_t { kSum, kMin, kMax };

using Bytes = std::vector<std::byte>;

class RankBoard;  // rank_board.h

class Communicator {
 public:
  virtual ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }

  // The ranks with the same color form a group, ordered by key, then by rank. nullptr where color
  // is negative. Collective.
  std::unique_ptr<Communicator> split(int color, int key);
  // The ranks of this group that share memory with the caller. Collective.
  std::unique_ptr<Communicator> split_by_node();

  void barrier(std::string_view name = "");
  // Copies root's bytes to all. The size is the same on every rank.
  void broadcast(std::span<std::byte> bytes, int root, std::string_view name = "");
  // all[r * mine.size() ...] = rank r's bytes; all.size() == size() * mine.size() everywhere.
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all,
                  std::string_view name = "");
  // Every rank's bytes, of any size, by rank.
  std::vector<Bytes> all_gather_v(std::span<const std::byte> mine, std::string_view name = "");
  // The same on root; an empty vector elsewhere.
  std::vector<Bytes> gather_v(std::span<const std::byte> mine, int root,
                              std::string_view name = "");

  // Element by element, in place, the same values on every rank afterwards. For small control
  // values and the fast mode.
  void all_reduce(std::span<float> values, Reduction op, std::string_view name = "");
  void all_reduce(std::span<double> values, Reduction op, std::string_view name = "");
  void all_reduce(std::span<int64_t> values, Reduction op, std::string_view name = "");

  // Point to point within the group; sizes are known on both sides and a message of another size is
  // an Error. A send may wait for its receive: two ranks that swap use exchange.
  void send(std::span<const std::byte> bytes, int to);
  void recv(std::span<std::byte> bytes, int from);
  void exchange(int peer, std::span<const std::byte> out, std::span<std::byte> in);

  // `bytes` of zeroed memory for each rank (they may ask for different sizes), readable and
  // writable by all ranks of the group, which must be on one node. Collective. Error(kIo) with
  // sizes and a hint if the system has too little shared memory.
  SharedArena allocate_shared(int64_t bytes, std::string_view name = "");

  // Ends the job on every rank: MPI_Abort under MPI; elsewhere throws Error with `code` (and wakes
  // the other ranks).
  [[noreturn]] virtual void abort(int code) = 0;

  // Every collective looks on the board whether another rank of the node is in a different one and
  // then throws Error(kInternal) naming both sides, on the rank that comes later. With verification
  // it compares its signature over all ranks, of all nodes, and throws on each, at the cost of a
  // small all-reduce. Set alike on all ranks; inherited by split. On for threads, off for MPI.
  void set_verify(bool on) { verify_ = on; }
  bool verify() const { return verify_; }

  // Counts a collective that goes past this class (through a SharedArena) like the others.
  void enter(std::string_view operation, std::string_view dtype, int64_t count,
             std::string_view name);
  // The last collective entered, "" if none. May be called from any thread.
  std::string position() const;

  // Says what this rank is about between collectives ("reading data"), for the watchdog's report.
  void doing(std::string_view what);
  // What the ranks of this node are at, in all their groups; null for a rank alone.
  const std::shared_ptr<RankBoard>& board() const { return board_; }

 protected:
  static constexpr int kAllRanks = -1;
  using Numbers = std::variant<std::span<float>, std::span<double>, std::span<int64_t>>;

  Communicator(int rank, int size) : rank_(rank), size_(size) {}

  // Puts this group on the board; by the back ends for the whole job, here for parts. Collective.
  void join(std::shared_ptr<RankBoard> board, bool whole_job = false);

  // Called only when size() > 1, with arguments that were checked.
  virtual std::unique_ptr<Communicator> do_split(int color, int key) = 0;
  virtual std::unique_ptr<Communicator> do_split_by_node() = 0;
  virtual void do_barrier() = 0;
  virtual void do_broadcast(std::span<std::byte> bytes, int root) = 0;
  virtual void do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all) = 0;
  // root may be kAllRanks.
  virtual std::vector<Bytes> do_gather_v(std::span<const std::byte> mine, int root) = 0;
  virtual void do_all_reduce(Numbers values, Reduction op) = 0;
  virtual void do_send(std::span<const std::byte> bytes, int to) = 0;
  virtual void do_recv(std::span<std::byte> bytes, int from) = 0;
  virtual void do_exchange(int peer, std::span<const std::byte> out, std::span<std::byte> in) = 0;
  virtual SharedArena do_allocate_shared(int64_t bytes) = 0;
  // Throws Error with mismatch_text if the ranks' signatures differ.
  virtual void do_compare(const Signature& mine) = 0;

 private:
  void check_rank(std::string_view operation, int rank) const;
  template <typename T>
  void reduce(std::span<T> values, Reduction op, std::string_view dtype, std::string_view name);

  int rank_;
  int size_;
  bool verify_ = false;
  std::shared_ptr<RankBoard> board_;
  int channel_ = -1;  // on the board
  mutable std::mutex position_mutex_;
  Signature current_;
};

}  // namespace heddle
