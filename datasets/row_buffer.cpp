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
    const std::string_view bytes = unread();
    const size_t found = bytes.find('\n', searched);
    const bool last = found == std::string_view::npos;
    if (last) {
      searched = bytes.size();
      if (bytes.size() > kMaxRowBytes) break;
      if (fill()) continue;
      if (unread().empty()) return Line::kEnd;
    }
    // `fill` at the end of the file may have moved the bytes.
    line = last ? unread() : bytes.substr(0, found);
    consume(line.size() + (last ? 0 : 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return Line::kFound;
  }
  // The start is kept aside for the message; the rest of the line is passed over.
  constexpr size_t kKept = 256;
  std::string start(unread().substr(0, kKept));
  while (true) {
    const size_t found = unread().find('\n');
    consume(found == std::string_view::npos ? unread().size() : found + 1);
    if (found != std::string_view::npos || !fill()) break;
  }
  too_long_ = std::move(start);
  line = too_long_;
  return Line::kTooLong;
}

}  // namespace heddle
