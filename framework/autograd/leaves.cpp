#include "framework/autograd/leaves.h"

#include <algorithm>
#include <utility>

#include "framework/autograd/captured.h"
#include "framework/core/error.h"

namespace heddle {
namespace {

thread_local std::vector<std::shared_ptr<const LeafOffsets>> current;
thread_local std::shared_ptr<const RowShare> current_share;

constexpr int64_t kRun = 32;  // rows, at most

}  // namespace

LeafScope::LeafScope(std::vector<LeafOffsets> partitions) : outer_(std::move(current)) {
  current.clear();
  for (LeafOffsets& offsets : partitions) {
    check(offsets.size() >= 2 && offsets.front() == 0 && std::ranges::is_sorted(offsets),
          "[leaves] offsets must ascend from 0.");
    current.push_back(std::make_shared<const LeafOffsets>(std::move(offsets)));
  }
}

LeafScope::~LeafScope() {
  current = std::move(outer_);
}

CapturedLeaves::CapturedLeaves() : partitions_(current), share_(current_share) {}

CapturedLeaves::Scope::Scope(const CapturedLeaves& captured)
    : outer_(std::move(current)), share_(captured.share_) {
  current = captured.partitions_;
}

CapturedLeaves::Scope::~Scope() {
  current = std::move(outer_);
}

std::shared_ptr<const LeafOffsets> leaves_of(int64_t rows) {
  if (current.empty()) return std::make_shared<const LeafOffsets>(LeafOffsets{0, rows});
  for (const auto& offsets : current) {
    if (offsets->back() == rows) return offsets;
  }
  throw std::invalid_argument(
      fmt::format("[leaves] a sum over {} rows, which are neither tokens nor sequences.", rows));
}

std::vector<RowRun> row_runs(const LeafOffsets& leaves) {
  std::vector<RowRun> runs;
  for (size_t leaf = 0; leaf + 1 < leaves.size(); ++leaf) {
    for (int64_t begin = leaves[leaf]; begin < leaves[leaf + 1]; begin += kRun) {
      runs.push_back({static_cast<int64_t>(leaf), begin, std::min(begin + kRun, leaves[leaf + 1])});
    }
  }
  return runs;
}

std::vector<int64_t> share_rows(const LeafOffsets& leaves, int ranks) {
  const int64_t rows = leaves.back();
  const std::vector<RowRun> runs = row_runs(leaves);
  std::vector<int64_t> offsets = {0};
  for (int rank = 1; rank < ranks; ++rank) {
    const int64_t even = rows * rank / ranks;
    // Where a run ends: what is nearest to the even share.
    const auto run = std::ranges::lower_bound(runs, even, {}, &RowRun::end);
    int64_t end = rows;
    if (run != runs.end()) end = run->end - even < even - run->begin ? run->end : run->begin;
    offsets.push_back(end);
  }
  offsets.push_back(rows);
  return offsets;
}

RowShareScope::RowShareScope(std::shared_ptr<const RowShare> share)
    : outer_(std::exchange(current_share, std::move(share))) {}

RowShareScope::~RowShareScope() {
  current_share = std::move(outer_);
}

std::shared_ptr<const RowShare> row_share() {
  return current_share;
}

}  // namespace heddle
