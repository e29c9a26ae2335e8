// log.jsonl of a run folder: one JSON object a line.
//
//   {"step":10,"epoch":0.005,"loss":0.693,"lr":3.1e-06,"grad_norm":1.2,"tokens":431,
//    "tokens_per_s":1834.2,"loss_hex":"0x1.62d0e6p-1"}                        a step, on one line
//   {"step":500,"epoch":0.25,"evaluation":"validation","rows":872,"seconds":1.3,
//    "metrics":{"accuracy":0.93,"log_loss":0.21}}                             an evaluation
//   {"step":500,"event":"checkpoint","path":"checkpoints/step-000000500"}     anything else
//
// NaN and infinities are null. `loss_hex` has the loss bit for bit (C's %a), for comparing runs.
//
//   JsonlLog log(files, "runs/sst2/log.jsonl", resumed_step);
//   log.add(StepRecord{.step = 10, .loss = 0.693});
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "framework/io/file_system.h"
#include "trainer/log/records.h"

namespace heddle {

class JsonlLog {
 public:
  // Creates the file, or goes on with it: lines of steps after `resumed_step` are dropped, for the
  // run will write them again, and so is a line that a crash left torn. Throws FileError.
  JsonlLog(FileSystem& files, const std::string& path, int64_t resumed_step = 0);

  // Each appends one line in one write, so that a killed process leaves whole lines.
  void add(const StepRecord& record);
  void add(const EvaluationRecord& record);
  void add(const EventRecord& record);

  // What was added is on the disk when it returns.
  void sync();

  // Lines that were there and could not be read; they are gone.
  int64_t damaged_lines() const { return damaged_lines_; }
  // Says so, with the place of the first: "runs/sst2/log.jsonl:17: …"; "" if there were none.
  const std::string& damage() const { return damage_; }

 private:
  void append(std::string line);

  std::unique_ptr<File> file_;
  uint64_t end_ = 0;
  int64_t damaged_lines_ = 0;
  std::string damage_;
};

using LogRecord = std::variant<StepRecord, EvaluationRecord, EventRecord>;

// One line of the file. `name` stands for it in messages, such as "runs/sst2/log.jsonl:17". Throws
// Error (input) that says what is wrong.
LogRecord parse_log_line(std::string_view line, const std::string& name);

// All records of the log at `path` that `text` holds. Lines that cannot be read are passed over,
// with one warning that names the first. A last line without its end is left out: the run may be
// writing it.
std::vector<LogRecord> parse_log(std::string_view text, const std::string& path,
                                 std::vector<std::string>& warnings);

// One line of any JSONL file: parse_json for a `name` that ends with the line's number, so that a
// mistake in the text is at "NAME:COLUMN: ...".
Json parse_json_line(std::string_view line, const std::string& name);

}  // namespace heddle
