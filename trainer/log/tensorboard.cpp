// The format. A file is a row of TFRecords:
//   u64 length | u32 masked_crc32c(length's 8 bytes) | length bytes | u32 masked_crc32c(these
//   bytes)
// all little-endian. Each record is a protocol buffer message (tensorflow/core/util/event.proto):
//   Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5;
//             SessionLog session_log = 7; }                 the first event has file_version only
//   Summary { repeated Value value = 1; }     Value { string tag = 1; float simple_value = 2; }
//   SessionLog { Status status = 1; }         START = 1: forget earlier events from `step` on
// A field is a varint (number << 3 | type) and its value; types: 0 varint, 1 eight bytes, 2 length
// and bytes, 5 four bytes. Varints carry 7 bits a byte, lowest first, the top bit marking "more".
#include "trainer/log/tensorboard.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <vector>

#include "trainer/log/crc32c.h"

namespace heddle {
namespace {

enum WireType : uint64_t { kVarint = 0, kEightBytes = 1, kLengthAndBytes = 2, kFourBytes = 5 };

template <typename T>
void append_little_endian(std::string& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    out += static_cast<char>(value >> (8 * i));
  }
}

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    out += static_cast<char>(value | 0x80);
  }
  out += static_cast<char>(value);
}

void append_key(std::string& out, uint64_t field, WireType type) {
  append_varint(out, field << 3 | type);
}

void append_bytes(std::string& out, uint64_t field, std::string_view bytes) {
  append_key(out, field, kLengthAndBytes);
  append_varint(out, bytes.size());
  out += bytes;
}

std::string event_at(double wall_time, int64_t step) {
  std::string event;
  append_key(event, 1, kEightBytes);
  append_little_endian(event, std::bit_cast<uint64_t>(wall_time));
  append_key(event, 2, kVarint);
  append_varint(event, static_cast<uint64_t>(step));
  return event;
}

std::string scalar_value(const std::string& tag, double value) {
  std::string message;
  append_bytes(message, 1, tag);
  append_key(message, 2, kFourBytes);
  append_little_endian(message, std::bit_cast<uint32_t>(static_cast<float>(value)));
  return message;
}

double system_wall_time() {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(since_1970).count();
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

// TensorBoard reads the files of a folder in the order of their names.
std::string new_file_name(FileSystem& files, const std::string& folder, double wall_time) {
  for (int count = 0;; ++count) {
    std::string path = join_path(
        folder, fmt::format("events.out.tfevents.{:010}.{}.{}.{}", static_cast<int64_t>(wall_time),
                            host_name(), getpid(), count));
    if (!files.exists(path)) {
      return path;
    }
  }
}

}  // namespace

TensorBoardLog::TensorBoardLog(FileSystem& files, const std::string& folder,
                               TensorBoardOptions options)
    : options_(std::move(options)) {
  if (!options_.wall_time) {
    options_.wall_time = system_wall_time;
  }
  const double now = options_.wall_time();
  file_ = files.open(new_file_name(files, folder, now), OpenMode::kCreate);

  std::string version = event_at(now, 0);
  append_bytes(version, 3, "brain.Event:2");
  append_record(version);
  if (options_.resumed_step > 0) {
    std::string start = event_at(now, options_.resumed_step + 1);
    std::string session;
    append_key(session, 1, kVarint);
    append_varint(session, 1);
    append_bytes(start, 7, session);
    append_record(start);
  }
}

void TensorBoardLog::add(const StepRecord& record) {
  const std::array scalars{
      MetricValue{"train/loss", record.loss}, MetricValue{"train/lr", record.lr},
      MetricValue{"train/grad_norm", record.grad_norm}, MetricValue{"train/epoch", record.epoch},
      MetricValue{"train/tokens_per_s", record.tokens_per_second}};
  add_scalars(record.step, scalars);
}

void TensorBoardLog::add(const EvaluationRecord& record) {
  const std::string group = record.split == "validation" ? "eval" : record.split;
  std::vector<MetricValue> scalars;
  for (const MetricValue& of : record.metrics) {
    scalars.push_back({group + "/" + of.name, of.value});
  }
  add_scalars(record.step, scalars);
}

void TensorBoardLog::add_scalars(int64_t step, std::span<const MetricValue> scalars) {
  std::string summary;
  for (const MetricValue& of : scalars) {
    if (!std::isnan(of.value)) {
      append_bytes(summary, 1, scalar_value(of.name, of.value));
    }
  }
  std::string event = event_at(options_.wall_time(), step);
  append_bytes(event, 5, summary);
  append_record(event);
}

void TensorBoardLog::append_record(const std::string& event) {
  std::string length;
  append_little_endian(length, static_cast<uint64_t>(event.size()));
  std::string record = length;
  append_little_endian(record, masked_crc32c(length));
  record += event;
  append_little_endian(record, masked_crc32c(event));
  file_->write_at(end_, std::as_bytes(std::span(record)));
  end_ += record.size();
}

}  // namespace heddle
