#include "datasets/row_buffer.h"

#include <cstring>

namespace heddle {
namespace {

constexpr size_t kBlock = size_t{256} << 10;

}  // namespace

RowBuffer::RowBuffer(std::unique_ptr<ByteSource> source)
    : source_(std::move(source)), storage_(kBlock) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  while (unread().size() < kByteOrderMark.size() && fill()) {
  }
  if (unread().starts_with(kByteOrderMark)) consume(kByteOrderMark.size());
}

bool RowBuffer::fill() {
  if (begin_ > 0) {
    std::memmove(storage_.data(), storage_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == storage_.size()) storage_.resize(2 * storage_.size());
  const size_t n = source_->read({storage_.data() + end_, storage_.size() - end_});
  end_ += n;
  return n > 0;
}

RowBuffer::Line RowBuffer::next_line(std::string_view& line) {
  size_t searched = 0;
  while (true) {
    const size_t found = unread().find('\n', searched);
    if (found != std::string_view::npos) {
      if (found > kMaxRowBytes) return pass_over(line);
      line = unread().substr(0, found);
      consume(found + 1);
      break;
    }
    searched = unread().size();
    if (searched > kMaxRowBytes) return pass_over(line);
    if (fill()) continue;
    line = unread();
    if (line.empty()) return Line::kEnd;
    consume(line.size());
    break;
  }
  if (line.ends_with('\r')) line.remove_suffix(1);
  return Line::kFound;
}

RowBuffer::Line RowBuffer::pass_over(std::string_view& start) {
  constexpr size_t kKept = 256;
  too_long_ = unread().substr(0, kKept);
  start = too_long_;
  while (true) {
    const size_t found = unread().find('\n');
    consume(found == std::string_view::npos ? unread().size() : found + 1);
    if (found != std::string_view::npos || !fill()) return Line::kTooLong;
  }
}

}  // namespace heddle
