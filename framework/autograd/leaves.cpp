#include "framework/autograd/leaves.h"

#include <algorithm>
#include <utility>

#include "framework/autograd/captured.h"
#include "framework/core/error.h"

namespace heddle {
namespace {

thread_local std::vector<std::shared_ptr<const LeafOffsets>> current;

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

CapturedLeaves::CapturedLeaves() : partitions_(current) {}

CapturedLeaves::Scope::Scope(const CapturedLeaves& captured) : outer_(std::move(current)) {
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

}  // namespace heddle
