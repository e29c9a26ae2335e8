// A window on a file's bytes that moves forward; what the row readers are built on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/byte_source.h"

namespace heddle {

// A longer line or CSV record is an error: it is a broken quote or no text at all, and memory stays
// bounded.
constexpr size_t kMaxRowBytes = size_t{16} << 20;

class RowBuffer {
 public:
  // Skips a byte order mark.
  explicit RowBuffer(std::unique_ptr<ByteSource> source);

  // The bytes that were read and not consumed. Valid until `fill` or `next_line`.
  std::string_view unread() const { return {storage_.data() + begin_, end_ - begin_}; }
  // Reads more bytes behind those unread; false if there are none.
  bool fill();
  // Takes the first `bytes` of unread() away; they stay valid until `fill` or `next_line`.
  void consume(size_t bytes) { begin_ += bytes; }

  enum class Line { kFound, kTooLong, kEnd };
  // Consumes one line, and the line feed behind it, if there is one. `line` is without it and
  // without a carriage return before it. Of a line that is too long `line` is the start.
  Line next_line(std::string_view& line);

 private:
  // Consumes a line that is too long, and keeps its start.
  Line pass_over(std::string_view& start);

  std::unique_ptr<ByteSource> source_;
  std::vector<char> storage_;
  size_t begin_ = 0;
  size_t end_ = 0;
  std::string too_long_;  // the start of a line that was
};

}  // namespace heddle
