// The limits of a machine, as a rank with its threads sees them while the other ranks are as busy:
// matrix products, memory, and sums over ranks. Measured by `heddle bench` and kept in the
// planner's file (measure.h), where a profile reads them as what could have been, and the planner
// how fast ranks of a node add up their numbers.
//
//   const MachineLimits limits = measure_limits(world, device);
//   keep_limits(files, default_cache_file(), processor_name(), limits);
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/core/precision.h"
#include "framework/device/device.h"
#include "framework/io/file_system.h"
#include "framework/io/json.h"

namespace heddle {

// x [rows, depth] by a weight [depth, columns] that is packed beforehand.
struct ProductLimit {
  std::string name;  // of the layer that has this shape
  int64_t rows = 0, depth = 0, columns = 0;
  Precision precision = Precision::kF32;
  double rate = 0;  // FLOP/s of a rank
};

// Bytes a second of a rank: what is only read, and what is copied, read and written both counted.
struct MemoryLimit {
  std::string name;
  int64_t bytes = 0;  // of a rank, of the array that is gone through
  double read = 0, copy = 0;
};

// An all-reduce over all ranks, of so many bytes of each.
struct SumLimit {
  int64_t bytes = 0;
  double seconds = 0;
};

struct MachineLimits {
  int64_t ranks = 1;    // of the job
  int64_t threads = 1;  // of a rank
  std::vector<ProductLimit> products;
  std::vector<MemoryLimit> memory;  // the largest is beyond any cache
  std::vector<SumLimit> sums;       // by size; none if there is one rank

  // The fastest product of that precision, in FLOP/s; 0: none was measured.
  double product_rate(std::string_view precision) const;
  // Of a copy beyond any cache, in bytes a second; 0: not measured.
  double memory_rate() const;
};

struct LimitOptions {
  std::vector<int64_t> rows = {32, 128, 512, 2048};
  int64_t memory_bytes = int64_t{256} << 20;  // of all ranks together
  std::vector<int64_t> sum_bytes = {4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20};
};

// Some ten seconds. Means over ranks, on every rank. Collective.
MachineLimits measure_limits(Communicator& world, const Device& device,
                             const LimitOptions& options = {});

Json to_json(const MachineLimits& limits);
std::string limits_table(const MachineLimits& limits);

// The file: {"limits": {"version": 1, PROCESSOR: {"2 ranks x 1 threads": {…}}}, …}, beside what the
// planner keeps there. Another version is as none.
//
// Throws FileError if it cannot be written.
void keep_limits(FileSystem& files, const std::string& cache_file, const std::string& processor,
                 const MachineLimits& limits);
// None if there are none, or the file is damaged.
std::optional<MachineLimits> kept_limits(FileSystem& files, const std::string& cache_file,
                                         const std::string& processor, int64_t ranks,
                                         int64_t threads);
// Those of the job with the most ranks, two or more, if there is one.
std::optional<MachineLimits> kept_sum_limits(const JsonView& cache, const std::string& processor);

}  // namespace heddle
