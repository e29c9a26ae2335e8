#include "framework/comm/rank_board.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <barrier>
#include <csignal>
#include <thread>

#include "framework/comm/collectives.h"
#include "framework/comm/shared_page.h"
#include "framework/comm/threads.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

// Boards of several ranks, on one page, in one thread.
struct Boards {
  explicit Boards(int ranks) {
    for (int r = 0; r < ranks; ++r) boards.emplace_back(page, 7, ranks, r, r);
  }
  int open(std::vector<int> ranks, const std::string& label) {
    std::vector<RankBoard::Offer> offers;
    for (const int r : ranks) offers.push_back(boards[size_t(r)].offer());
    int channel = -1;
    for (const int r : ranks) channel = boards[size_t(r)].open(offers, label);
    return channel;
  }
  std::string enter(int rank, int channel, const Signature& s) {
    return boards[size_t(rank)].enter(channel, s);
  }

  std::shared_ptr<void> page = SharedPage::create(RankBoard::bytes(8)).memory();
  std::vector<RankBoard> boards;
};

const Signature kBarrier = {
    .sequence = 1, .operation = "barrier", .dtype = "", .count = 0, .name = "end of step"};
const Signature kReduce = {.sequence = 1,
                           .operation = "all_reduce sum",
                           .dtype = "f32",
                           .count = 8,
                           .name = "layer3.mlp.down.grad"};

TEST(RankBoard, LaterRankSeesThatAnEarlierOneIsElsewhere) {
  Boards b(3);
  const int all = b.open({0, 1, 2}, "");
  EXPECT_EQ(b.enter(0, all, kReduce), "");
  EXPECT_EQ(b.enter(2, all, kReduce), "");
  EXPECT_EQ(b.enter(1, all, kBarrier),
            "ranks entered different collectives: rank 1 is at #1 barrier 'end of step'; rank 0, 2 "
            "is at #1 all_reduce sum f32 x 8 'layer3.mlp.down.grad'");
}

TEST(RankBoard, NamesAndCountsAreCompared) {
  Boards b(2);
  const int all = b.open({0, 1}, "");
  Signature s = kReduce;
  EXPECT_EQ(b.enter(0, all, s), "");
  s.count = 9;
  EXPECT_NE(b.enter(1, all, s), "");
  s = kReduce;
  s.sequence = 2;
  EXPECT_EQ(b.enter(0, all, s), "");
  s.name += "2";
  EXPECT_NE(b.enter(1, all, s), "");
}

TEST(RankBoard, RankThatIsAheadIsStillCompared) {
  Boards b(2);
  const int all = b.open({0, 1}, "");
  Signature s = kReduce;
  for (s.sequence = 1; s.sequence <= 3; ++s.sequence) EXPECT_EQ(b.enter(0, all, s), "");
  EXPECT_NE(b.enter(1, all, kBarrier), "");
}

TEST(RankBoard, GroupsDoNotMeetAndChannelsAreUsedAgain) {
  Boards b(4);
  const int all = b.open({0, 1, 2, 3}, "");
  const int left = b.open({0, 1}, "of ranks 0, 1");
  const int right = b.open({2, 3}, "of ranks 2, 3");
  EXPECT_EQ(left, right);
  EXPECT_NE(left, all);
  EXPECT_EQ(b.enter(0, left, kReduce), "");
  EXPECT_EQ(b.enter(2, right, kBarrier), "");
  EXPECT_EQ(b.enter(3, right, kBarrier), "");
  EXPECT_EQ(b.boards[3].position(), "#1 barrier 'end of step' of ranks 2, 3");
  for (auto& board : b.boards) board.close(left);
  // A new group there does not see what the old one has left.
  EXPECT_EQ(b.open({0, 2}, ""), left);
  EXPECT_EQ(b.enter(0, left, kReduce), "");
  EXPECT_EQ(b.enter(2, left, kReduce), "");
}

// A rank may look at another's channel in the very moment in which that one goes on to a new group.
TEST(RankBoard, GroupsThatComeAndGoQuicklyAreNotMixedUp) {
  constexpr int kGroups = 100000;
  Boards b(2);
  std::barrier meet(2);
  std::vector<RankBoard::Offer> offers;
  const auto live = [&](size_t me) {
    std::string found;
    for (int i = 0; i < kGroups; ++i) {
      meet.arrive_and_wait();
      if (me == 0) offers = {b.boards[0].offer(), b.boards[1].offer()};
      meet.arrive_and_wait();
      const int channel = b.boards[me].open(offers, "");
      found += b.boards[me].enter(channel, i % 2 == 0 ? kBarrier : kReduce);
      meet.arrive_and_wait();  // nobody leaves a collective before all have come
      b.boards[me].close(channel);
    }
    return found;
  };
  std::string of_other;
  std::thread other([&] { of_other = live(1); });
  EXPECT_EQ(live(0), "");
  other.join();
  EXPECT_EQ(of_other, "");
}

TEST(RankBoard, WithoutAChannelLeftAGroupGoesUnwatched) {
  Boards b(2);
  for (int i = 0; i < RankBoard::kChannels; ++i) EXPECT_EQ(b.open({0, 1}, ""), i);
  EXPECT_EQ(b.open({0, 1}, ""), -1);
}

TEST(RankBoard, BlameNamesWhoIsWaitedForAndWhatItDoes) {
  Boards b(3);
  const int all = b.open({0, 1, 2}, "");
  for (int r = 0; r < 3; ++r) EXPECT_EQ(b.enter(r, all, kBarrier), "");
  EXPECT_EQ(
      b.boards[0].blame(),
      std::vector<std::string>{"all ranks of this node have entered #1 barrier 'end of step'"});
  Signature s = kReduce;
  s.sequence = 2;
  EXPECT_EQ(b.enter(0, all, s), "");
  EXPECT_EQ(b.enter(1, all, s), "");
  b.boards[2].doing("reading data");
  EXPECT_EQ(b.boards[0].blame(),
            std::vector<std::string>{
                "rank 2 never entered #2 all_reduce sum f32 x 8 'layer3.mlp.down.grad'; it is in: "
                "reading data; last entered #1 barrier 'end of step'"});
}

TEST(RankBoard, ProcessThatIsStoppedOrGoneIsSaid) {
  Boards b(1);
  const pid_t child = fork();
  if (child == 0) {
    RankBoard board(b.page, 7, 2, 1, 1);
    board.doing("checkpoint");
    raise(SIGSTOP);
    _exit(0);
  }
  RankBoard board(b.page, 7, 2, 0, 0);
  waitpid(child, nullptr, WUNTRACED);
  EXPECT_EQ(board.blame(), std::vector<std::string>{fmt::format(
                               "rank 1 does not answer; it is in: checkpoint; its process {} is "
                               "stopped",
                               child)});
  board.set_reported();
  EXPECT_TRUE(board.all_reported());  // who is stopped is not waited for
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(board.blame(), std::vector<std::string>{fmt::format(
                               "rank 1 does not answer; it is in: checkpoint; its process {} is "
                               "gone",
                               child)});
}

TEST(RankBoard, AlarmIsRaisedOnceAndHeardByAll) {
  Boards b(2);
  EXPECT_FALSE(b.boards[1].alarmed());
  EXPECT_TRUE(b.boards[0].raise_alarm());
  EXPECT_FALSE(b.boards[1].raise_alarm());
  EXPECT_TRUE(b.boards[1].alarmed());
  b.boards[0].set_reported();
  EXPECT_FALSE(b.boards[0].all_reported());
  b.boards[1].set_reported();
  EXPECT_TRUE(b.boards[0].all_reported());
}

TEST(RankBoard, LongNamesAreCutInWhatIsSaidOnly) {
  Boards b(2);
  const int all = b.open({0, 1}, "");
  Signature s = kReduce;
  s.name = std::string(100, 'x');
  EXPECT_EQ(b.enter(0, all, s), "");
  EXPECT_EQ(b.boards[0].position(), "#1 all_reduce sum f32 x 8 '" + std::string(63, 'x') + "'");
  s.name.back() = 'y';
  EXPECT_NE(b.enter(1, all, s), "");
}

TEST(RankBoard, RanksAsThreadsFindAMixUpWithoutVerification) {
  const auto body = [](Communicator& world) {
    world.set_verify(false);
    const auto half = world.split(world.rank() / 2, world.rank());
    half->barrier("same");
    if (world.rank() == 3)
      half->barrier("end of step");
    else
      all_reduce(*half, 1.0, Reduction::kSum, "loss");
  };
  EXPECT_HEDDLE_ERROR(run_threads(4, body), ExitCode::kInternal,
                      "is at #2 all_reduce sum f64 x 1 'loss' of ranks 2, 3");
}

}  // namespace
}  // namespace heddle
