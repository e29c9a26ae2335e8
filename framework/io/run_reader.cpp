#include "framework/io/run_reader.h"

#include <cstring>

namespace heddle {

namespace {

constexpr uint64_t kLong = 64 << 10;   // read alone
constexpr uint64_t kBuffer = 1 << 20;  // of the file at a time, wanted or between

}  // namespace

void RunReader::add(BoxRun run) {
  const uint64_t start = static_cast<uint64_t>(run.source) * element_bytes_;
  const uint64_t bytes = static_cast<uint64_t>(run.count) * element_bytes_;
  const auto place = target_.subspan(static_cast<size_t>(run.target) * element_bytes_, bytes);
  if (bytes >= kLong) {
    file_.read_at(offset_ + start, place);
    return;
  }
  if (!pending_.empty() && start + bytes - pending_.front().start > kBuffer) flush();
  pending_.push_back({start, place});
}

void RunReader::flush() {
  if (pending_.empty()) return;
  const uint64_t first = pending_.front().start;
  buffer_.resize(pending_.back().start + pending_.back().place.size() - first);
  file_.read_at(offset_ + first, buffer_);
  for (const Piece& piece : pending_) {
    std::memcpy(piece.place.data(), buffer_.data() + (piece.start - first), piece.place.size());
  }
  pending_.clear();
}

}  // namespace heddle
