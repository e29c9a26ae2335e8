// The one file that includes zlib. A .gz file is one or more gzip members, one after another.
#include <zlib.h>

#include <algorithm>
#include <vector>

#include "datasets/byte_source.h"
#include "framework/core/error.h"

namespace heddle {
namespace {

class GzipBytes : public ByteSource {
 public:
  GzipBytes(std::unique_ptr<ByteSource> compressed, std::string path)
      : compressed_(std::move(compressed)), path_(std::move(path)), input_(size_t{1} << 16) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    check(inflateInit2(&stream_, kGzipOnly) == Z_OK, "[gunzip] zlib has no memory");
  }
  ~GzipBytes() override { inflateEnd(&stream_); }
  GzipBytes(const GzipBytes&) = delete;
  GzipBytes& operator=(const GzipBytes&) = delete;

  size_t read(std::span<char> block) override {
    stream_.next_out = reinterpret_cast<Bytef*>(block.data());
    stream_.avail_out = static_cast<uInt>(std::min(block.size(), size_t{1} << 30));
    const uInt wanted = stream_.avail_out;
    while (stream_.avail_out == wanted) {
      if (stream_.avail_in == 0) {
        stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
        stream_.avail_in = static_cast<uInt>(compressed_->read(input_));
        if (stream_.avail_in == 0) {
          if (between_members_) return 0;
          throw Error(ExitCode::kInput, fmt::format("{}: the gzip data is cut short", path_));
        }
      }
      if (std::exchange(between_members_, false)) inflateReset(&stream_);
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_STREAM_END) {
        between_members_ = true;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        throw Error(ExitCode::kInput, fmt::format("{}: damaged gzip data: {}", path_,
                                                  stream_.msg ? stream_.msg : "unknown error"));
      }
    }
    return wanted - stream_.avail_out;
  }

 private:
  std::unique_ptr<ByteSource> compressed_;
  std::string path_;
  std::vector<char> input_;
  z_stream stream_{};
  bool between_members_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> gunzip(std::unique_ptr<ByteSource> compressed, std::string path) {
  return std::make_unique<GzipBytes>(std::move(compressed), std::move(path));
}

}  // namespace heddle
