// A small model of two tensors and a text, saved by two writers, for the tests of checkpoints.
#pragma once

#include <numeric>
#include <string>
#include <vector>

#include "framework/io/checkpoint.h"
#include "tests/framework/io/scratch.h"

namespace heddle {

// What is saved: all of it depends on `seed`, so that two states never look alike.
struct SmallState {
  int seed = 0;

  std::vector<float> weights() const {  // [4, 6]
    std::vector<float> values(24);
    std::iota(values.begin(), values.end(), static_cast<float>(1000 * seed));
    return values;
  }
  std::vector<uint16_t> moments() const { return {static_cast<uint16_t>(seed), 7, 9}; }
  std::string text() const { return fmt::format("text {}", seed); }
};

inline constexpr int64_t kRows = 4;
inline constexpr int64_t kColumns = 6;

// One writer's share: rows of the weights; the first also has the rest.
inline ShardSummary write_share(FileSystem& files, const CheckpointPlace& place, int writer,
                                const SmallState& state) {
  CheckpointWriter out(files, place, writer);
  const std::vector<float> weights = state.weights();
  const std::span<const float> rows =
      std::span(weights).subspan(static_cast<size_t>(writer) * 2 * kColumns, 2 * kColumns);
  out.add("weights/w", DType::kF32, {kRows, kColumns}, {{writer * 2, 0}, {2, kColumns}},
          std::as_bytes(rows));
  if (writer == 0) {
    const std::vector<uint16_t> moments = state.moments();
    out.add("adam/m", DType::kBF16, {3}, {{0}, {3}}, std::as_bytes(std::span(moments)));
    out.add("empty", DType::kI64, {0, 5}, {{0, 0}, {0, 5}}, {});
    out.add_text("files/t", state.text());
  }
  // As on its way to another rank.
  return ShardSummary::from_text(out.finish().to_text());
}

// A whole save. Throws what the disk throws, after tidying up as a program does.
inline std::string save(FileSystem& files, const CheckpointPlace& place, const SmallState& state,
                        CommitOptions options = {}) {
  try {
    prepare_checkpoint(files, place, 10000);
    std::vector<ShardSummary> shards;
    for (int writer : {0, 1}) shards.push_back(write_share(files, place, writer, state));
    options.metadata = {{"seed", state.seed}};
    return commit_checkpoint(files, place, std::move(shards), options);
  } catch (const Error&) {
    abandon_checkpoint(files, place);
    throw;
  }
}

// Reads everything and compares; returns the seed of the state that was found.
inline int expect_intact(const Checkpoint& checkpoint) {
  const SmallState state{checkpoint.metadata()["seed"].get<int>()};
  std::vector<float> weights(kRows * kColumns);
  checkpoint.read("weights/w", std::as_writable_bytes(std::span(weights)));
  EXPECT_EQ(weights, state.weights());
  std::vector<uint16_t> moments(3);
  checkpoint.read("adam/m", std::as_writable_bytes(std::span(moments)));
  EXPECT_EQ(moments, state.moments());
  EXPECT_EQ(checkpoint.text("files/t"), state.text());
  EXPECT_EQ(checkpoint.at("empty").shape, (std::vector<int64_t>{0, 5}));
  return state.seed;
}

}  // namespace heddle
