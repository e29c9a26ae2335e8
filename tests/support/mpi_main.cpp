#include "tests/support/mpi_main.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "framework/comm/collectives.h"
#include "framework/comm/hang_report.h"
#include "framework/comm/mpi_environment.h"

namespace heddle {
namespace {

constexpr std::chrono::seconds kDeadline(60);

Communicator* world_of_tests = nullptr;

// Prints failures with the rank, makes the ranks agree on each test's result, and keeps the
// deadline.
class RankListener final : public testing::EmptyTestEventListener {
 public:
  // `control` is the listener's own: a test that breaks off between collectives does not confuse
  // it.
  explicit RankListener(Communicator& control)
      : control_(control),
        dog_(
            [this](const Watchdog::Silence& silence) {
              fmt::print(stderr, "{}", hang_report(*world_of_tests, silence, &stack_));
              await_other_reports(*world_of_tests);
              std::_Exit(124);
            },
            control.board()) {}

  void OnTestStart(const testing::TestInfo& test) override {
    dog_.beat(fmt::format("{}.{}", test.test_suite_name(), test.name()), kDeadline);
  }

  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    fmt::print(stderr, "[rank {}] {}:{}: {}\n", control_.rank(),
               result.file_name() ? result.file_name() : "?", result.line_number(),
               result.message());
  }

  void OnTestEnd(const testing::TestInfo& test) override {
    const bool failed = test.result()->Failed();
    const int64_t failures = all_reduce(control_, int64_t{failed}, Reduction::kSum, test.name());
    if (failures > 0 && !failed) ADD_FAILURE() << "failed on " << failures << " other ranks";
    dog_.rest();
  }

 private:
  Communicator& control_;
  MainStack stack_;
  Watchdog dog_;
};

int run_all(Communicator& world) {
  const std::unique_ptr<Communicator> control = world.split(0, world.rank());
  world_of_tests = &world;
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  if (world.rank() != 0) delete listeners.Release(listeners.default_result_printer());
  auto* listener = new RankListener(*control);
  listeners.Append(listener);  // events that end something reach the last listener first
  const int result = RUN_ALL_TESTS();
  delete listeners.Release(listener);
  return static_cast<int>(
      all_reduce(*control, static_cast<int64_t>(result), Reduction::kMax, "result"));
}

}  // namespace

Communicator& test_world() {
  return *world_of_tests;
}

}  // namespace heddle

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  heddle::MpiEnvironment environment;
  const std::unique_ptr<heddle::Communicator> world = environment.world();
  return heddle::run_all(*world);
}
