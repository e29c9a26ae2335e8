// A profile as a Chrome trace, for chrome://tracing or ui.perfetto.dev: an object with the array
// "traceEvents" of the Trace Event Format; a process is a rank, a thread one of its threads. Times
// are microseconds of the profile's life.
//
//   {"ph": "X", "pid": 0, "tid": 0, "ts": 12.3, "dur": 4.5, "name": "linear", "cat": "op",
//    "args": {"type": "f32", "module": "head.dense", "flops": 9437184, "bytes": 638976}}
#pragma once

#include <cstdint>
#include <string>

#include "framework/comm/communicator.h"
#include "framework/device/profile.h"

namespace heddle {

// Spans of all ranks together that a trace has at most.
constexpr int64_t kMostTraceEvents = 400'000;

// What such a file begins with.
constexpr std::string_view kTraceBegin = "{\"traceEvents\":[";

// The file's content with the spans of all ranks, on rank 0; empty elsewhere. Collective.
std::string gather_trace(const Profile& profile, Communicator& world);

}  // namespace heddle
