#include "framework/comm/single.h"

#include "framework/core/error.h"

namespace heddle {
namespace {

// The base class answers for a group of one; what is left has nobody to talk to.
class Single final : public Communicator {
 public:
  Single() : Communicator(0, 1) {}

  [[noreturn]] void abort(int code) override {
    throw Error(static_cast<ExitCode>(code), fmt::format("aborted with code {}", code));
  }

 protected:
  std::unique_ptr<Communicator> do_split(int, int) override { nobody(); }
  std::unique_ptr<Communicator> do_split_by_node() override { nobody(); }
  void do_barrier() override { nobody(); }
  void do_broadcast(std::span<std::byte>, int) override { nobody(); }
  void do_all_gather(std::span<const std::byte>, std::span<std::byte>) override { nobody(); }
  std::vector<Bytes> do_gather_v(std::span<const std::byte>, int) override { nobody(); }
  void do_all_reduce(Numbers, Reduction) override { nobody(); }
  void do_send(std::span<const std::byte>, int) override { nobody(); }
  void do_recv(std::span<std::byte>, int) override { nobody(); }
  void do_exchange(int, std::span<const std::byte>, std::span<std::byte>) override { nobody(); }
  SharedArena do_allocate_shared(int64_t) override { nobody(); }
  void do_compare(const Signature&) override { nobody(); }

 private:
  [[noreturn]] static void nobody() {
    throw std::logic_error("a group of one has nobody to talk to");
  }
};

}  // namespace

std::unique_ptr<Communicator> make_single() {
  return std::make_unique<Single>();
}

}  // namespace heddle
