// What every back end must do, called on each rank: by threads_test.cpp on threads and by
// comm_mpi_test.cpp under mpirun.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <string>
#include <vector>

#include "framework/comm/collectives.h"

namespace heddle {

inline void expect_reductions(Communicator& world) {
  const int n = world.size();
  EXPECT_EQ(all_reduce(world, int64_t{world.rank() + 1}, Reduction::kSum), n * (n + 1) / 2);
  EXPECT_EQ(all_reduce(world, int64_t{world.rank()}, Reduction::kMax), n - 1);
  EXPECT_EQ(all_reduce(world, double(world.rank()) + 0.5, Reduction::kMin), 0.5);
  std::vector<float> values(1000);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(i) * float(world.rank());
  world.all_reduce(std::span<float>(values), Reduction::kSum, "values");
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(values[i], static_cast<float>(i) * float(n * (n - 1) / 2));
  }
  world.all_reduce(std::span<float>(), Reduction::kSum);
}

inline void expect_gathers(Communicator& world) {
  const int n = world.size();
  const std::vector<int> ranks = all_gather(world, world.rank() * 10);
  ASSERT_EQ(static_cast<int>(ranks.size()), n);
  for (int r = 0; r < n; ++r) EXPECT_EQ(ranks[static_cast<size_t>(r)], r * 10);
  // Of different lengths, the first empty.
  const std::string mine(static_cast<size_t>(world.rank()) * 3,
                         static_cast<char>('a' + world.rank()));
  const int root = n - 1;
  const std::vector<std::string> everywhere = all_gather_text(world, mine);
  const std::vector<std::string> at_root = gather_text(world, mine, root);
  ASSERT_EQ(static_cast<int>(everywhere.size()), n);
  for (int r = 0; r < n; ++r) {
    EXPECT_EQ(everywhere[static_cast<size_t>(r)],
              std::string(static_cast<size_t>(r) * 3, static_cast<char>('a' + r)));
  }
  EXPECT_EQ(at_root, world.rank() == root ? everywhere : std::vector<std::string>{});
}

inline void expect_broadcasts(Communicator& world) {
  for (int root = 0; root < world.size(); ++root) {
    const std::string text = world.rank() == root ? fmt::format("from {}", root) : "unknown";
    EXPECT_EQ(broadcast_text(world, text, root), fmt::format("from {}", root));
  }
}

inline void expect_ring_and_exchange(Communicator& world) {
  const int n = world.size();
  if (n == 1) return;
  const int next = (world.rank() + 1) % n;
  const int previous = (world.rank() + n - 1) % n;
  std::array<int, 3> out = {world.rank(), 7, 8};
  std::array<int, 3> in{};
  // Odd ranks receive first: a send may wait for its receive.
  if (world.rank() % 2 == 0) {
    world.send(std::as_bytes(std::span(out)), next);
    world.recv(std::as_writable_bytes(std::span(in)), previous);
  } else {
    world.recv(std::as_writable_bytes(std::span(in)), previous);
    world.send(std::as_bytes(std::span(out)), next);
  }
  EXPECT_EQ(in, (std::array<int, 3>{previous, 7, 8}));
  const int peer = world.rank() ^ 1;
  if (peer < n) {
    std::vector<int> big_out(100000, world.rank());
    std::vector<int> big_in(100000, -1);
    world.exchange(peer, std::as_bytes(std::span(big_out)),
                   std::as_writable_bytes(std::span(big_in)));
    EXPECT_EQ(big_in, std::vector<int>(100000, peer));
  }
  int64_t same = 0;
  const int64_t five = 5;
  world.exchange(world.rank(), std::as_bytes(std::span(&five, 1)),
                 std::as_writable_bytes(std::span(&same, 1)));
  EXPECT_EQ(same, 5);
}

inline void expect_splits(Communicator& world) {
  // Odd and even ranks, in falling order.
  const auto half = world.split(world.rank() % 2, -world.rank());
  ASSERT_NE(half, nullptr);
  EXPECT_EQ(half->size(), (world.size() + 1 - world.rank() % 2) / 2);
  const std::vector<int> members = all_gather(*half, world.rank());
  EXPECT_TRUE(std::is_sorted(members.rbegin(), members.rend()));
  EXPECT_EQ(members[static_cast<size_t>(half->rank())], world.rank());
  const auto first = world.split(world.rank() == 0 ? 0 : -1, 0);
  EXPECT_EQ(first != nullptr, world.rank() == 0);
  EXPECT_EQ(first ? first->size() : 1, 1);
}

inline void expect_shared_memory(Communicator& world) {
  const auto node = world.split_by_node();
  // Of different sizes, one of them nothing.
  SharedArena arena = node->allocate_shared(node->rank() * 1000, "test");
  ASSERT_EQ(arena.size(), node->size());
  for (int r = 0; r < node->size(); ++r) {
    EXPECT_EQ(arena.bytes(r), r * 1000);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(arena.peer(r)) % 64, 0u) << r;
  }
  for (int64_t i = 0; i < arena.bytes(node->rank()); ++i) {
    ASSERT_EQ(arena.mine()[i], std::byte{0});
    arena.mine()[i] = static_cast<std::byte>(node->rank());
  }
  for (int round = 0; round < 100; ++round) {
    arena.barrier();
    for (int r = 0; r < node->size(); ++r) {
      if (arena.bytes(r) == 0) continue;
      ASSERT_EQ(arena.peer(r)[round * 7], static_cast<std::byte>(r + round));
    }
    arena.barrier();
    for (int64_t i = 0; i < arena.bytes(node->rank()); ++i) {
      arena.mine()[i] = static_cast<std::byte>(node->rank() + round + 1);
    }
  }
}

}  // namespace heddle
