#include "framework/comm/mpi_communicator.h"

#include <mpi.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <exception>
#include <functional>
#include <numeric>
#include <thread>
#include <utility>

#include "framework/comm/rank_board.h"
#include "framework/comm/shared_page.h"
#include "framework/core/error.h"

namespace heddle {
namespace {

constexpr size_t kChunk = size_t{1} << 30;  // MPI counts are ints: longer spans go in pieces

// While an exception is on its way the other ranks may never come to a collective.
bool may_free() {
  int finalized = 0;
  MPI_Finalized(&finalized);
  return !finalized && std::uncaught_exceptions() == 0;
}

MPI_Op to_mpi(Reduction op) {
  switch (op) {
    case Reduction::kSum:
      return MPI_SUM;
    case Reduction::kMin:
      return MPI_MIN;
    case Reduction::kMax:
      return MPI_MAX;
  }
  return MPI_OP_NULL;
}

MPI_Datatype to_mpi(float) {
  return MPI_FLOAT;
}
MPI_Datatype to_mpi(double) {
  return MPI_DOUBLE;
}
MPI_Datatype to_mpi(int64_t) {
  return MPI_INT64_T;
}

// Calls f(offset, length) for pieces of at most kChunk; once, with 0, for nothing.
template <typename F>
void for_chunks(size_t total, F f) {
  size_t offset = 0;
  do {
    const size_t length = std::min(kChunk, total - offset);
    f(offset, length);
    offset += length;
  } while (offset < total);
}

class Mpi final : public Communicator {
 public:
  // Takes over `comm`.
  static std::unique_ptr<Mpi> adopt(MPI_Comm comm) {
    int rank = 0;
    int size = 0;
    check_mpi(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
    return std::unique_ptr<Mpi>(new Mpi(comm, rank, size));
  }

  ~Mpi() override {
    if (may_free()) MPI_Comm_free(&comm_);
  }

  void share_board();

  [[noreturn]] void abort(int code) override {
    MPI_Abort(MPI_COMM_WORLD, code);
    std::_Exit(code);  // MPI_Abort returns only if it failed
  }

 protected:
  std::unique_ptr<Communicator> do_split(int color, int key) override {
    check_thread();
    MPI_Comm part = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split(comm_, color < 0 ? MPI_UNDEFINED : color, key, &part),
              "MPI_Comm_split");
    if (part == MPI_COMM_NULL) return nullptr;
    return adopt(part);
  }

  std::unique_ptr<Communicator> do_split_by_node() override {
    check_thread();
    MPI_Comm node = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank(), MPI_INFO_NULL, &node),
              "MPI_Comm_split_type");
    return adopt(node);
  }

  void do_barrier() override {
    check_thread();
    check_mpi(MPI_Barrier(comm_), "MPI_Barrier");
  }

  void do_broadcast(std::span<std::byte> bytes, int root) override {
    check_thread();
    for_chunks(bytes.size(), [&](size_t offset, size_t length) {
      check_mpi(MPI_Bcast(bytes.data() + offset, static_cast<int>(length), MPI_BYTE, root, comm_),
                "MPI_Bcast");
    });
  }

  void do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    check_thread();
    if (mine.size() <= INT_MAX) {
      const int count = static_cast<int>(mine.size());
      check_mpi(MPI_Allgather(mine.data(), count, MPI_BYTE, all.data(), count, MPI_BYTE, comm_),
                "MPI_Allgather");
      return;
    }
    for (int r = 0; r < size(); ++r) {
      const auto part = all.subspan(static_cast<size_t>(r) * mine.size(), mine.size());
      if (r == rank()) std::copy(mine.begin(), mine.end(), part.begin());
      do_broadcast(part, r);
    }
  }

  std::vector<Bytes> do_gather_v(std::span<const std::byte> mine, int root) override {
    check_thread();
    // Everyone learns the sizes, so that all take the same way.
    std::vector<int64_t> sizes(static_cast<size_t>(size()));
    const auto my_size = static_cast<int64_t>(mine.size());
    check_mpi(MPI_Allgather(&my_size, 1, MPI_INT64_T, sizes.data(), 1, MPI_INT64_T, comm_),
              "MPI_Allgather");
    const bool receives = root == kAllRanks || root == rank();
    const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
    std::vector<Bytes> parts(receives ? sizes.size() : 0);
    if (total > INT_MAX) {
      for (int r = 0; r < size(); ++r) gather_one(mine, sizes, r, root, parts);
      return parts;
    }
    std::vector<int> counts(sizes.begin(), sizes.end());
    std::vector<int> starts(sizes.size(), 0);
    std::partial_sum(counts.begin(), counts.end() - 1, starts.begin() + 1);
    Bytes all(receives ? static_cast<size_t>(total) : 0);
    const int count = static_cast<int>(my_size);
    if (root == kAllRanks) {
      check_mpi(MPI_Allgatherv(mine.data(), count, MPI_BYTE, all.data(), counts.data(),
                               starts.data(), MPI_BYTE, comm_),
                "MPI_Allgatherv");
    } else {
      check_mpi(MPI_Gatherv(mine.data(), count, MPI_BYTE, all.data(), counts.data(), starts.data(),
                            MPI_BYTE, root, comm_),
                "MPI_Gatherv");
    }
    for (size_t r = 0; r < parts.size(); ++r) {
      parts[r].assign(all.begin() + starts[r], all.begin() + starts[r] + counts[r]);
    }
    return parts;
  }

  void do_all_reduce(Numbers values, Reduction op) override {
    check_thread();
    std::visit(
        [&]<typename T>(std::span<T> span) {
          for_chunks(span.size(), [&](size_t offset, size_t length) {
            check_mpi(MPI_Allreduce(MPI_IN_PLACE, span.data() + offset, static_cast<int>(length),
                                    to_mpi(T{}), to_mpi(op), comm_),
                      "MPI_Allreduce");
          });
        },
        values);
  }

  void do_send(std::span<const std::byte> bytes, int to) override {
    check_thread();
    for_chunks(bytes.size(), [&](size_t offset, size_t length) {
      check_mpi(
          MPI_Send(bytes.data() + offset, static_cast<int>(length), MPI_BYTE, to, kTag, comm_),
          "MPI_Send");
    });
  }

  void do_recv(std::span<std::byte> bytes, int from) override {
    check_thread();
    for_chunks(bytes.size(), [&](size_t offset, size_t length) {
      MPI_Status status;
      check_mpi(MPI_Recv(bytes.data() + offset, static_cast<int>(length), MPI_BYTE, from, kTag,
                         comm_, &status),
                "MPI_Recv");
      check_length(status, from, length);
    });
  }

  void do_exchange(int peer, std::span<const std::byte> out, std::span<std::byte> in) override {
    check_thread();
    for_chunks(std::max(out.size(), in.size()), [&](size_t offset, size_t) {
      const auto piece = [&](auto span) {
        const size_t start = std::min(offset, span.size());
        return span.subspan(start, std::min(kChunk, span.size() - start));
      };
      const auto o = piece(out);
      const auto i = piece(in);
      MPI_Status status;
      check_mpi(MPI_Sendrecv(o.data(), static_cast<int>(o.size()), MPI_BYTE, peer, kTag, i.data(),
                             static_cast<int>(i.size()), MPI_BYTE, peer, kTag, comm_, &status),
                "MPI_Sendrecv");
      check_length(status, peer, i.size());
    });
  }

  SharedArena do_allocate_shared(int64_t bytes) override;

  void do_compare(const Signature& mine) override {
    check_thread();
    const std::string text = to_string(mine);
    const auto hash = static_cast<int64_t>(std::hash<std::string>{}(text));
    // max(~x) == ~min(x): one reduction tells whether all are equal.
    std::array<int64_t, 2> extremes = {hash, ~hash};
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, extremes.data(), 2, MPI_INT64_T, MPI_MAX, comm_),
              "MPI_Allreduce");
    if (extremes[0] == ~extremes[1]) return;
    std::vector<RankAt> sides;
    for (const Bytes& part : do_gather_v(std::as_bytes(std::span(text)), kAllRanks)) {
      sides.push_back({static_cast<int>(sides.size()),
                       {reinterpret_cast<const char*>(part.data()), part.size()}});
    }
    throw Error(ExitCode::kInternal, mismatch_text(sides));
  }

 private:
  static constexpr int kTag = 1;

  Mpi(MPI_Comm comm, int rank, int size)
      : Communicator(rank, size), comm_(comm), thread_(std::this_thread::get_id()) {}

  void check_thread() const {
    check(std::this_thread::get_id() == thread_,
          "[mpi] called from another thread than the one that made the communicator.");
  }

  void check_length(MPI_Status& status, int from, size_t expected) const {
    int count = 0;
    check_mpi(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count");
    if (static_cast<size_t>(count) == expected) return;
    throw Error(ExitCode::kInternal,
                fmt::format("rank {} sent {} bytes to rank {}, which expects {}", from, count,
                            rank(), expected));
  }

  // Rank r's bytes to root or to all, however long.
  void gather_one(std::span<const std::byte> mine, std::span<const int64_t> sizes, int r, int root,
                  std::vector<Bytes>& parts) {
    const auto at = static_cast<size_t>(r);
    if (!parts.empty()) parts[at].resize(static_cast<size_t>(sizes[at]));
    if (r == rank() && !parts.empty()) std::copy(mine.begin(), mine.end(), parts[at].begin());
    if (root == kAllRanks) return do_broadcast(parts[at], r);
    if (r == root) return;
    if (r == rank()) do_send(mine, root);
    if (root == rank()) do_recv(parts[at], r);
  }

  MPI_Comm comm_;
  std::thread::id thread_;
};

// A page of each rank, which all have open. The barrier lies in front of rank 0's part.
SharedArena Mpi::do_allocate_shared(int64_t bytes) {
  check_thread();
  MPI_Comm node = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank(), MPI_INFO_NULL, &node),
            "MPI_Comm_split_type");
  int node_size = 0;
  MPI_Comm_size(node, &node_size);
  MPI_Comm_free(&node);
  check(node_size == size(),
        "[allocate_shared] {} of the group's {} ranks are on this node. Expected one node: "
        "split_by_node.",
        node_size, size());

  const auto ranks = static_cast<size_t>(size());
  const auto gather_int64 = [&](int64_t mine) {
    std::vector<int64_t> all(ranks);
    check_mpi(MPI_Allgather(&mine, 1, MPI_INT64_T, all.data(), 1, MPI_INT64_T, comm_),
              "MPI_Allgather");
    return all;
  };
  const std::vector<int64_t> sizes = gather_int64(bytes);
  check_free_memory(std::accumulate(sizes.begin(), sizes.end(), int64_t{0}), size());
  do_barrier();  // nobody takes memory before all have looked

  const auto head = [](size_t r) { return r == 0 ? sizeof(SpinBarrier) : 0; };
  std::vector<SharedPage> pages(ranks);
  const auto mine = static_cast<size_t>(rank());
  pages[mine] = SharedPage::create(head(mine) + static_cast<size_t>(bytes));
  std::vector<SharedPage::Address> addresses(ranks);
  check_mpi(MPI_Allgather(&pages[mine].address(), sizeof(SharedPage::Address), MPI_BYTE,
                          addresses.data(), sizeof(SharedPage::Address), MPI_BYTE, comm_),
            "MPI_Allgather");
  int64_t missing = pages[mine].memory() ? -1 : rank();
  for (size_t r = 0; r < ranks && missing < 0; ++r) {
    if (r != mine) pages[r] = SharedPage::open(addresses[r]);
    if (!pages[r].memory()) missing = static_cast<int64_t>(r);
  }
  const std::vector<int64_t> missed = gather_int64(missing);  // and all have opened what they could
  for (size_t r = 0; r < ranks; ++r) {
    if (missed[r] < 0) continue;
    throw Error(
        ExitCode::kIo,
        fmt::format("shared memory: rank {} cannot open the memory of rank {}, process {} of "
                    "the same node",
                    r, missed[r], addresses[static_cast<size_t>(missed[r])].process),
        "ranks of a node must see each other in /proc: start them as one user, and "
        "containers with one space of processes (docker run --pid=host)");
  }
  pages[mine].forget();
  SharedArena::Memory memory;
  for (size_t r = 0; r < ranks; ++r) {
    memory.parts.push_back({static_cast<std::byte*>(pages[r].memory().get()) + head(r), sizes[r]});
  }
  memory.barrier = static_cast<SpinBarrier*>(pages[0].memory().get());  // of zeros, as it starts
  memory.owner = std::make_shared<std::vector<SharedPage>>(std::move(pages));
  return SharedArena(rank(), std::move(memory));
}

// The ranks of each node get a board. Where they cannot share memory so (ranks in containers of
// their own), each has a page of its own, and nothing is known of the others.
void Mpi::share_board() {
  MPI_Comm node = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank(), MPI_INFO_NULL, &node),
            "MPI_Comm_split_type");
  int places = 0;
  int mine = 0;
  MPI_Comm_size(node, &places);
  MPI_Comm_rank(node, &mine);
  SharedPage page;
  if (mine == 0) page = SharedPage::create(RankBoard::bytes(places));
  SharedPage::Address address = page.address();
  check_mpi(MPI_Bcast(&address, sizeof address, MPI_BYTE, 0, node), "MPI_Bcast");
  if (mine != 0) page = SharedPage::open(address);
  int shared = page.memory() ? 1 : 0;
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &shared, 1, MPI_INT, MPI_MIN, node), "MPI_Allreduce");
  MPI_Comm_free(&node);
  if (shared == 0) {
    page = SharedPage::create(RankBoard::bytes(1));
    address = page.address();
    places = 1;
    mine = 0;
  }
  page.forget();
  if (!page.memory()) return;
  join(std::make_shared<RankBoard>(page.memory(), address.id, places, mine, rank()), true);
}

}  // namespace

void check_mpi(int code, std::string_view call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw Error(ExitCode::kIo,
              fmt::format("{} failed: {}", call,
                          std::string_view(text.data(), static_cast<size_t>(length))));
}

std::unique_ptr<Communicator> make_mpi_world() {
  MPI_Comm copy = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &copy), "MPI_Comm_dup");
  std::unique_ptr<Mpi> world = Mpi::adopt(copy);
  world->share_board();
  return world;
}

}  // namespace heddle
