// What the profiles (framework/device/profile.h) of all ranks say together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/device/profile.h"

namespace heddle {

// A SpanTotal, summed over ranks.
struct ProfileLine {
  std::string name;    // empty: a module itself
  std::string type;    // "f32", "bf16", "int8" or empty
  std::string module;  // path of the innermost one, or empty
  SpanKind kind = SpanKind::kOp;
  TapePass pass = TapePass::kForward;
  bool main = true;  // of the thread that runs the verb
  int64_t calls = 0;
  double seconds = 0;  // without the spans inside
  double flops = 0;
  double bytes = 0;  // read and written

  std::string title() const;  // "linear weight backward"
};

struct ProfileTotals {
  int64_t ranks = 1;
  int64_t threads = 1;   // of a rank
  double seconds = 0;    // of the whole verb, mean over ranks
  int64_t left_out = 0;  // spans of all ranks that are not in the trace
  std::vector<ProfileLine> lines;
};

// Of all ranks, on rank 0; empty elsewhere. Collective.
ProfileTotals gather_totals(const Profile& profile, Communicator& world, int64_t threads);

}  // namespace heddle
