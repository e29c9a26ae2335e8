// What an output file is of. It lies beside the output OUT as .OUT.job, while OUT.part grows and
// after it got its name, so that a job that goes on writes no rows of another one behind it:
//   {"output_job": 1, "bytes": 1234, "parts": [{"what": "model", "shown": "runs/a", "hash": "…"}]}
// "bytes", the size of OUT, is there once the job is done.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/io/file_system.h"

namespace heddle {

// Whatever changes a byte of the output: two jobs are the same if their parts have the same hashes.
struct OutputJob {
  struct Part {
    std::string what;   // "model", "input", "options" or "precision"
    std::string shown;  // for people
    std::string hash;
  };
  std::vector<Part> parts;
};

struct OutputRecord {
  OutputJob job;
  std::optional<uint64_t> bytes;  // of the finished output
};

// "dir/.OUT.job" for "dir/OUT".
std::string output_record_path(const std::string& output);
void write_output_record(FileSystem& files, const std::string& output, const OutputRecord& record);
// Nothing if there is none, or none that can be read.
std::optional<OutputRecord> read_output_record(FileSystem& files, const std::string& output);

// Throws Error (kInput) that says what differs, unless `found`, the record beside `file`, is of
// `job`.
void require_same_job(const std::string& file, const std::optional<OutputRecord>& found,
                      const OutputJob& job);

}  // namespace heddle
