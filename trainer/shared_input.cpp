#include "trainer/shared_input.h"

#include <memory>

#include "datasets/byte_source.h"
#include "framework/comm/collectives.h"

namespace heddle {
namespace {

class BroadcastBytes : public ByteSource {
 public:
  explicit BroadcastBytes(const Mesh& mesh) : mesh_(mesh) {
    if (mesh.is_root()) own_ = open_bytes("-");
  }

  size_t read(std::span<char> block) override {
    const size_t mine = own_ ? own_->read(block) : 0;
    const size_t count = broadcast(mesh_.world(), mine, 0, "bytes of standard input");
    check(count <= block.size(), "[standard input] {} bytes for a block of {}", count,
          block.size());
    mesh_.world().broadcast(std::as_writable_bytes(block.first(count)), 0, "standard input");
    return count;
  }

 private:
  const Mesh& mesh_;
  std::unique_ptr<ByteSource> own_;
};

}  // namespace

DataSource with_shared_input(DataSource source, const Mesh& mesh) {
  source.standard_input = [&mesh] { return std::make_unique<BroadcastBytes>(mesh); };
  return source;
}

}  // namespace heddle
