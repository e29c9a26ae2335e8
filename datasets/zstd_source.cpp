// The one file that includes zstd. A .zst file is one or more frames, one after another.
#include <zstd.h>

#include <vector>

#include "datasets/byte_source.h"
#include "framework/core/error.h"

namespace heddle {
namespace {

class ZstdBytes : public ByteSource {
 public:
  ZstdBytes(std::unique_ptr<ByteSource> compressed, std::string path)
      : compressed_(std::move(compressed)),
        path_(std::move(path)),
        stream_(ZSTD_createDStream()),
        storage_(ZSTD_DStreamInSize()) {
    check(stream_ != nullptr, "[unzstd] zstd has no memory");
  }
  ~ZstdBytes() override { ZSTD_freeDStream(stream_); }
  ZstdBytes(const ZstdBytes&) = delete;
  ZstdBytes& operator=(const ZstdBytes&) = delete;

  size_t read(std::span<char> block) override {
    ZSTD_outBuffer output{block.data(), block.size(), 0};
    while (output.pos == 0) {
      // After a full block the decoder may hold more output; it is asked again before it is fed.
      if (input_.pos == input_.size && !holds_output_) {
        input_ = {storage_.data(), compressed_->read(storage_), 0};
        if (input_.size == 0) {
          if (between_frames_) return 0;
          throw Error(ExitCode::kInput, fmt::format("{}: the zstd data is cut short", path_));
        }
      }
      const size_t result = ZSTD_decompressStream(stream_, &output, &input_);
      if (ZSTD_isError(result)) {
        throw Error(ExitCode::kInput,
                    fmt::format("{}: damaged zstd data: {}", path_, ZSTD_getErrorName(result)));
      }
      between_frames_ = result == 0;
      holds_output_ = !between_frames_ && output.pos == output.size;
    }
    return output.pos;
  }

 private:
  std::unique_ptr<ByteSource> compressed_;
  std::string path_;
  ZSTD_DStream* stream_;
  std::vector<char> storage_;
  ZSTD_inBuffer input_{nullptr, 0, 0};
  bool between_frames_ = false;
  bool holds_output_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> unzstd(std::unique_ptr<ByteSource> compressed, std::string path) {
  return std::make_unique<ZstdBytes>(std::move(compressed), std::move(path));
}

}  // namespace heddle
