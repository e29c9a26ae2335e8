#include "trainer/log/tensorboard.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>

#include "trainer/log/crc32c.h"

namespace heddle {
namespace {

// A reader of its own, written from the format and not from the writer.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  bool done() const { return bytes_.empty(); }

  template <typename T>
  T fixed() {
    T value;
    EXPECT_GE(bytes_.size(), sizeof(T));
    std::memcpy(&value, bytes_.data(), sizeof(T));
    bytes_.remove_prefix(sizeof(T));
    return value;
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = fixed<uint8_t>();
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) {
        return value;
      }
    }
  }

  std::string_view take(size_t count) {
    const std::string_view result = bytes_.substr(0, count);
    EXPECT_EQ(result.size(), count);
    bytes_.remove_prefix(result.size());
    return result;
  }

 private:
  std::string_view bytes_;
};

struct Event {
  double wall_time = 0;
  int64_t step = 0;
  std::string version = {};
  std::optional<uint64_t> session_status = {};
  std::map<std::string, float> scalars = {};
};

std::pair<std::string, float> decode_value(std::string_view bytes) {
  std::pair<std::string, float> value;
  for (Reader reader(bytes); !reader.done();) {
    const uint64_t key = reader.varint();
    if (key == (1 << 3 | 2)) {
      value.first = reader.take(reader.varint());
    } else {
      EXPECT_EQ(key, 2u << 3 | 5);
      value.second = reader.fixed<float>();
    }
  }
  return value;
}

Event decode_event(std::string_view bytes) {
  Event event;
  for (Reader reader(bytes); !reader.done();) {
    const uint64_t key = reader.varint();
    if (key == (1 << 3 | 1)) {
      event.wall_time = reader.fixed<double>();
    } else if (key == (2 << 3 | 0)) {
      event.step = static_cast<int64_t>(reader.varint());
    } else if (key == (3 << 3 | 2)) {
      event.version = reader.take(reader.varint());
    } else if (key == (7 << 3 | 2)) {
      Reader session(reader.take(reader.varint()));
      EXPECT_EQ(session.varint(), 1u << 3 | 0);
      event.session_status = session.varint();
    } else if (key == (5 << 3 | 2)) {
      for (Reader summary(reader.take(reader.varint())); !summary.done();) {
        EXPECT_EQ(summary.varint(), 1u << 3 | 2);
        event.scalars.insert(decode_value(summary.take(summary.varint())));
      }
    } else {
      ADD_FAILURE() << "unknown key " << key;
      return event;
    }
  }
  return event;
}

std::vector<Event> decode_file(const std::string& bytes) {
  std::vector<Event> events;
  for (Reader reader(bytes); !reader.done();) {
    const std::string length(reader.take(8));
    EXPECT_EQ(reader.fixed<uint32_t>(), masked_crc32c(length));
    const std::string_view event = reader.take(Reader(length).fixed<uint64_t>());
    EXPECT_EQ(reader.fixed<uint32_t>(), masked_crc32c(event));
    events.push_back(decode_event(event));
  }
  return events;
}

class TensorBoardTest : public testing::Test {
 protected:
  TensorBoardTest() {
    folder_ = testing::TempDir() + "tensorboard_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    remove_tree(files_, folder_);
    make_directories(files_, folder_);
  }
  ~TensorBoardTest() override { remove_tree(files_, folder_); }

  TensorBoardOptions options(int64_t resumed_step = 0) {
    return {.resumed_step = resumed_step, .wall_time = [] { return 1700000000.5; }};
  }

  PosixFileSystem files_;
  std::string folder_;
};

TEST_F(TensorBoardTest, StepsAndEvaluationsAreDecodedAsWritten) {
  TensorBoardLog board(files_, folder_, options());
  board.add(StepRecord{.step = 300,
                       .epoch = 0.5,
                       .loss = 0.25,
                       .lr = 5e-5,
                       .grad_norm = 1.5,
                       .tokens_per_second = 9000});
  board.add(EvaluationRecord{.step = 300,
                             .split = "validation",
                             .metrics = {{"accuracy", 0.75}, {"auroc", std::nan("")}}});
  board.add(EvaluationRecord{.step = 128, .split = "test", .metrics = {{"accuracy", 0.5}}});

  const std::vector<Event> events = decode_file(read_file(files_, board.path()));
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_EQ(events[0].wall_time, 1700000000.5);
  EXPECT_EQ(events[1].step, 300);
  EXPECT_EQ(events[1].scalars, (std::map<std::string, float>{{"train/loss", 0.25f},
                                                             {"train/lr", 5e-5f},
                                                             {"train/grad_norm", 1.5f},
                                                             {"train/epoch", 0.5f},
                                                             {"train/tokens_per_s", 9000.f}}));
  EXPECT_EQ(events[2].scalars, (std::map<std::string, float>{{"eval/accuracy", 0.75f}}));
  EXPECT_EQ(events[3].step, 128);  // the first that needs two bytes
  EXPECT_EQ(events[3].scalars, (std::map<std::string, float>{{"test/accuracy", 0.5f}}));
}

TEST_F(TensorBoardTest, ResumedRunTellsToForgetLaterSteps) {
  const TensorBoardLog board(files_, folder_, options(400));
  const std::vector<Event> events = decode_file(read_file(files_, board.path()));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].step, 401);
  EXPECT_EQ(events[1].session_status, 1u);
}

TEST_F(TensorBoardTest, EveryStartWritesAFileOfItsOwn) {
  const TensorBoardLog first(files_, folder_, options());
  const TensorBoardLog second(files_, folder_, options(1));
  EXPECT_NE(first.path(), second.path());
  EXPECT_TRUE(base_name(first.path()).starts_with("events.out.tfevents.1700000000."));
  EXPECT_LT(first.path(), second.path());
}

TEST_F(TensorBoardTest, FolderThatIsMissingIsNamed) {
  try {
    TensorBoardLog board(files_, folder_ + "/none", options());
    FAIL();
  } catch (const FileError& error) {
    EXPECT_NE(std::string(error.what()).find("none/events.out.tfevents"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace heddle
